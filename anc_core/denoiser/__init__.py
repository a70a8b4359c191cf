"""The learned suppressor: what its network sees, how it is trained, how it is run."""
