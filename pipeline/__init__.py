"""The running system: sources, lake, Dagster graph, audit, report, command line."""
