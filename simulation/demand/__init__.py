"""Demand with constant elasticity of substitution and Pareto tastes (eq 20-24)."""
