"""The array operations of latent fits: one function each, with its gradient."""
