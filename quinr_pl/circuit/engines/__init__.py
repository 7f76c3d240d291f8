"""What runs the circuit: one file or folder an engine, and the registry that knows them."""
