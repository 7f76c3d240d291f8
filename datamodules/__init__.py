"""Signals as coordinate datasets."""
