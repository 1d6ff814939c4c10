"""Models against the data: simulated, refitted, compared; and written to files."""
