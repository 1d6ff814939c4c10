"""CES demand, measured: the exponent, its cost elasticity, counts around it (eq 20-24)."""
