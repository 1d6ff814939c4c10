"""Whole shapes of two samples, compared up to a factor."""
