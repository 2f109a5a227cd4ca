"""The table's numbers become effect sizes yi with sampling variances vi on one stated scale."""
