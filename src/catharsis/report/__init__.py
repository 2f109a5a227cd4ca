"""Results become a page, figures and tables; words and rounding are settled here, once."""
