"""The metrics of classification: one module each. Imported when training begins."""
