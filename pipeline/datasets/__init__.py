"""From snapshots to the tables that are analysed."""
