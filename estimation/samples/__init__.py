"""Samples as estimators take them: counts, labels, clusters; concentration and curves."""
