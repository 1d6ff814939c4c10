"""Simulated against observed: replicates, joint verdicts, equivalence tests."""
