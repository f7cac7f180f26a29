"""The pipeline as operators run it: real commands in real processes, on SQLite and on PostgreSQL."""
