"""Rate and distortion: metrics, curves, sweeps, plots."""
