"""Doors to other libraries, one file each, imported by name."""
