"""Figures as hand-written SVG: they follow the page's colours and open alone as well."""
