"""What fits and counts mean: sign tests, and which statements a report may make."""
