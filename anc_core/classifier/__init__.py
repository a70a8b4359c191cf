"""Which noise is this: the trained classifier at work. What trains it is another package."""
