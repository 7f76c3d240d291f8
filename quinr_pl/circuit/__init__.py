"""The quantum circuit as data, and the engines that run it."""
