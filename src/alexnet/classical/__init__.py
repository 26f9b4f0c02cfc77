"""Before AlexNet: features made by hand, and a linear classifier."""
