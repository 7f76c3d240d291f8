"""How parameters move: optimizers, and training steps that a GPU replays from a graph."""
