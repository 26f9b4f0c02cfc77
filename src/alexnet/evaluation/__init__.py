"""How good trained networks are: errors, confusions, and how they stand beside published ones."""
