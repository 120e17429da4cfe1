"""Detectors in one stage."""

from geodet.models.detectors import FCOS, RetinaNet, fcos_fpn, retinanet_fpn
from geodet.models.zoo.pixels import msra_pixels

__all__ = ["fcos_r50_fpn", "retinanet_r50_fpn", "retinanet_r101_fpn"]


def retinanet_r50_fpn(*, num_classes: int = 80) -> RetinaNet:
    """RetinaNet, ResNet-50."""
    return retinanet_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=50, stride_in_1x1=True
    )


def retinanet_r101_fpn(*, num_classes: int = 80) -> RetinaNet:
    """RetinaNet, ResNet-101."""
    return retinanet_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=101, stride_in_1x1=True
    )


def fcos_r50_fpn(*, num_classes: int = 80) -> FCOS:
    """FCOS, ResNet-50; Detectron2 has it without published weights."""
    return fcos_fpn(num_classes=num_classes, preprocess=msra_pixels(), depth=50, stride_in_1x1=True)
