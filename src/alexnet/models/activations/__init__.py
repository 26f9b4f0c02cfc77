"""The activation functions: one module each. None imports torch at its top."""
