"""Measurement: arrays in, frozen results out. No file, clock, network or printing here."""
