"""Model bundles: a folder with weights, a card that says where they come from, and digests."""
