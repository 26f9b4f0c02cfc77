"""Speed of a training step beside other implementations, its profile and its scaling."""
