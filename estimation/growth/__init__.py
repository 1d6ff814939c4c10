"""Growth of sizes, measured on panels and between dates (eq 36-39)."""
