"""Tables, each described once: column, type, unit, key, bounds, meaning."""
