"""The sections of a .quinr file."""
