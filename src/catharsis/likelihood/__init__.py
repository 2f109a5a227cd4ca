"""What frequentist and Bayesian fits share: design matrices, blocks, and the Gaussian log-likelihood."""
