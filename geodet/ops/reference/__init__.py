"""The specification: every operator in its slowest and most obvious form.

Tests hold the compiled operators against these, on CPU and CUDA. Nothing else uses them.
"""
