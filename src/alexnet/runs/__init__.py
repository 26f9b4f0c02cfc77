"""The run folder: its files, figures, checkpoints and tracking, and resuming a run from it."""
