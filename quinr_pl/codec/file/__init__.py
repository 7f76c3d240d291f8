"""The frame of a .quinr file: container, header, limits, encoder."""
