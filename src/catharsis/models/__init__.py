"""Frequentist fits: heterogeneity, tests and intervals on top of the shared likelihood."""
