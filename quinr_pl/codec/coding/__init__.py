"""Entropy coding of integers: what each is expected to be, and its bits."""
