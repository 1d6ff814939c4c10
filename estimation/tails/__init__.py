"""Tails: power laws, rivals, tail indices, rank-size regressions, cohorts."""
