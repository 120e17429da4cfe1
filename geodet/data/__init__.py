"""Data sets, their samples, and the loader that feeds them to a model."""
