"""Preferential attachment, measured: Simon and Yule from one date, kernels from two (eq 18-19)."""
