"""Geometric Brownian growth with entry and exit (eq 36-39)."""
