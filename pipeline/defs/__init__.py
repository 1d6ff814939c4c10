"""What Dagster shows: snapshots, tables, fits, simulations, conclusions. Work is done elsewhere.

Asset modules must not use `from __future__ import annotations`: Dagster reads the annotations.
"""
