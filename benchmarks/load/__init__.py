"""What the platform bears: many recordings, a long one, many channels, batches side by side."""
