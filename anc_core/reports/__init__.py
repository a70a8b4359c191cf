"""Records and numbers as pages to read: HTML that stands alone, never the database."""
