"""What a trained network sees in images."""
