"""Two-level factorials and their fractions: every run serves every effect."""
