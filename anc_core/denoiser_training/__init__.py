"""Training the learned suppressor. Needs PyTorch: the extra ``train``."""
