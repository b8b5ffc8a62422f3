"""SVDiff (arXiv:2303.11305): only the singular values of the weights are trained."""
