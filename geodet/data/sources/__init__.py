"""Data sets as sources of samples."""
