"""Training the noise classifier on folders of clips, one folder a category."""
