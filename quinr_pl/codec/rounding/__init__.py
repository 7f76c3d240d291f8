"""Ways of rounding trained weights to levels."""
