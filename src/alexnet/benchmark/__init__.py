"""How fast a training step is, beside others; where its time goes; how it grows."""
