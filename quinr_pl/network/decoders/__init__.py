"""Networks as files and the decoder know them: arguments, shapes, cost, and the signal by NumPy and kernels.

Nothing here needs torch, whose import takes longer than the decoding of most files.
"""
