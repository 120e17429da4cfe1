"""Named sizes: a function for every published architecture, and the checkpoints that go with it.

`mask_rcnn_r50_fpn()` makes a model with weights drawn at random: its first two stages and all
batch norms are frozen, so load pretrained weights before training. To train from scratch, use
the families in `geodet.models.detectors` with a trainable norm and `freeze_at=0`.
"""

from geodet.models.zoo.rcnn_fpn import (
    faster_rcnn_r50_fpn,
    faster_rcnn_r101_fpn,
    mask_rcnn_r18_fpn,
    mask_rcnn_r50_fpn,
    mask_rcnn_r101_fpn,
    mask_rcnn_x101_fpn,
)
from geodet.models.zoo.rcnn_one_map import (
    faster_rcnn_r50_c4,
    faster_rcnn_r50_dc5,
    faster_rcnn_r101_c4,
    faster_rcnn_r101_dc5,
    mask_rcnn_r50_c4,
    mask_rcnn_r50_dc5,
    mask_rcnn_r101_c4,
    mask_rcnn_r101_dc5,
)

__all__ = [
    "faster_rcnn_r50_c4",
    "faster_rcnn_r50_dc5",
    "faster_rcnn_r50_fpn",
    "faster_rcnn_r101_c4",
    "faster_rcnn_r101_dc5",
    "faster_rcnn_r101_fpn",
    "mask_rcnn_r18_fpn",
    "mask_rcnn_r50_c4",
    "mask_rcnn_r50_dc5",
    "mask_rcnn_r50_fpn",
    "mask_rcnn_r101_c4",
    "mask_rcnn_r101_dc5",
    "mask_rcnn_r101_fpn",
    "mask_rcnn_x101_fpn",
]
