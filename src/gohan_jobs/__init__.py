"""Gohan jobs."""
