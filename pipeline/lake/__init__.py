"""The lake: one file a table and day, written whole or not at all; receipts, locks, checks."""
