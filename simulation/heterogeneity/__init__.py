"""Items that differ from entry on: sizes fixed at entry, or rates of their own."""
