"""Rate and distortion of one file, and differences between curves."""
