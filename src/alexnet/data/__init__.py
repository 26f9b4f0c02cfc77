"""From image files to batches: listing, scanning, decoding, sampling, augmenting."""
