"""The update rules: one module each, with its configuration. None imports torch at its top."""
