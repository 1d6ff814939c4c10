"""Items that differ from entry on, measured."""
