"""The public commands."""
