"""From image files to batches: listing, surveying, decoding, ordering, augmenting."""
