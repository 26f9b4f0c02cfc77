"""Is this machine ready to train with a given configuration? One module a check; none imports the others."""
