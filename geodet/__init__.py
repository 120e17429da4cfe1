"""Object detection and segmentation in PyTorch on typed, proven geometry."""
