"""Posteriors of the same model: exact by quadrature, sampled by NUTS."""
