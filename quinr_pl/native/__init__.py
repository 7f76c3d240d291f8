"""Code for the processor at hand: emitted as vectors, compiled once, kept on disk, called without the GIL."""
