"""Real services for the tests: found or installed, started on loopback in temporary folders, stopped by their id."""
