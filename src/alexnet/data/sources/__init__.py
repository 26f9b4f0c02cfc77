"""The sources of images: one module each, with its configuration. None imports torch at its top."""
