"""Training: the LightningModule, the trainer, and the session of a run."""
