"""Preferential attachment (eq 18-19): Simon's urn, the Yule process, kernels; eq 19 as printed."""
