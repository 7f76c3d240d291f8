"""quINR on latent grids and its parts."""
