"""Backbones: images to feature maps of growing stride."""

from geodet.models.backbones.resnet import BasicBlock, BottleneckBlock, ResNet, Stem, resnet

__all__ = ["BasicBlock", "BottleneckBlock", "ResNet", "Stem", "resnet"]
