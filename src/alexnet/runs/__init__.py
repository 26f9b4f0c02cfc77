"""The run folder: its files, figures, checkpoints and tracking, and how a run is resumed from it."""
