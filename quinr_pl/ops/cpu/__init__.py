"""The operations on the CPU: tensors to addresses, rows to threads, values and gradients back."""
