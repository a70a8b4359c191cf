"""Which job runs when, with which priority: one table, and what makes a server of it."""
