"""A site's own exported logs, through the whole pipeline, into one page (docs/trial.md)."""
