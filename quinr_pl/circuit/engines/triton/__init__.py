"""The fused engine for CUDA, in Triton kernels."""
