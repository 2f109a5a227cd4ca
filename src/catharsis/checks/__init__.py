"""Findings about the table: what is impossible, what is unusual."""
