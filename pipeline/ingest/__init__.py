"""From the live sources into the lake: refresh, acceptance, publication, backfill."""
