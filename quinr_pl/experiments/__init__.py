"""Comparisons and searches: many fits, their figures, tables and plots."""
