"""Is this machine ready to train with a given configuration? One module a check, `examination` calls them."""
