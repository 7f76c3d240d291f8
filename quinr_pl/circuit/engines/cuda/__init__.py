"""The fused engine for CUDA, in C++ that is compiled at run time."""
