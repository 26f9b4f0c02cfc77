"""Lightning callbacks that watch, record and save a run."""
