"""A look inside a trained network."""
