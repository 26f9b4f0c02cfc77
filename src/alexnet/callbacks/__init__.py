"""Lightning callbacks, one a file: what watches, records and saves a run."""
