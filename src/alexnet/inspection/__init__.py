"""What a trained network has learned: layer statistics and nearest neighbours of its features."""
