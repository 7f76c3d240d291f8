"""Code for the processor at hand: emitted as vectors, compiled once, kept on disk, called without the GIL.

A kernel is a Python function that computes with the typed values of ``values`` and ``arrays``, in the loops
of ``code``; ``mathematics`` has its functions. What the operations become is up to an ``emitter``: ``llvm``
emits machine code, which ``machine_code`` compiles, and ``interpreter`` computes at once. A new target is one
more subclass of ``emitter.Emitter``.

Kernels for CUDA are written in its C++: ``cuda_compiler`` compiles it, ``cuda_code`` loads and launches it.
"""
