"""analysis.yaml becomes results: what is asked, run once, kept with its inputs' hash."""
