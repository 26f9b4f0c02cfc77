"""Training: the update rule, its schedule, the LightningModule and what watches a run."""
