"""What feeds ask, without a peer."""
