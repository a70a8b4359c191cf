"""Jobs on recordings: find, plan, share out, claim, process, record. Used by flows and commands."""
