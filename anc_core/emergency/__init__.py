"""Emergency sounds: recognised by rhythm and sweep, never cancelled."""
