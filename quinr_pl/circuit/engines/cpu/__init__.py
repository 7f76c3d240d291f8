"""The fused engine for the CPU: embedding, circuit and read-out of a batch in compiled code."""
