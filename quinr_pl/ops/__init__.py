"""The array operations of latent fits, each a function of tensors with its gradient.

A file here holds an operation: the function, its form in torch operations, and by device type what computes
it in kernels. ``cpu`` holds those for the CPU, and ``kernels`` the code that they emit; ``cuda`` holds those
for CUDA, beside their code in C++.
"""
