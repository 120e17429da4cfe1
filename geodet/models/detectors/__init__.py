"""Detectors: images to Instances. The only place where tensors become Instances."""

from geodet.models.detectors.families import faster_rcnn_fpn, mask_rcnn_fpn
from geodet.models.detectors.faster_rcnn import FasterRCNN
from geodet.models.detectors.fpn_parts import (
    caffe_preprocess,
    fpn_box_head,
    fpn_mask_head,
    fpn_rpn,
    resnet_fpn,
)
from geodet.models.detectors.mask_rcnn import MaskRCNN
from geodet.models.detectors.rescale import rescale_instances

__all__ = [
    "FasterRCNN",
    "MaskRCNN",
    "caffe_preprocess",
    "faster_rcnn_fpn",
    "fpn_box_head",
    "fpn_mask_head",
    "fpn_rpn",
    "mask_rcnn_fpn",
    "rescale_instances",
    "resnet_fpn",
]
