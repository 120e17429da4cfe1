"""Named sizes: a function for every published architecture, and the checkpoints that go with it.

`mask_rcnn_r50_fpn()` makes a model with weights drawn at random: its first two stages and all
batch norms are frozen, so load pretrained weights before training. To train from scratch, use
the families in `geodet.models.detectors` with a trainable norm and `freeze_at=0`.
"""

from geodet.models.zoo.mvit import (
    cascade_mask_rcnn_mvitv2_b,
    cascade_mask_rcnn_mvitv2_h,
    cascade_mask_rcnn_mvitv2_l,
    cascade_mask_rcnn_mvitv2_s,
    cascade_mask_rcnn_mvitv2_t,
    mask_rcnn_mvitv2_t,
)
from geodet.models.zoo.mvit_vitdet import (
    cascade_mask_rcnn_mvitv2_b_vitdet,
    cascade_mask_rcnn_mvitv2_b_vitdet_lvis,
    cascade_mask_rcnn_mvitv2_h_vitdet,
    cascade_mask_rcnn_mvitv2_h_vitdet_lvis,
    cascade_mask_rcnn_mvitv2_l_vitdet,
    cascade_mask_rcnn_mvitv2_l_vitdet_lvis,
)
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
from geodet.models.zoo.swin import (
    cascade_mask_rcnn_swin_b,
    cascade_mask_rcnn_swin_b_lvis,
    cascade_mask_rcnn_swin_l,
    cascade_mask_rcnn_swin_l_lvis,
)
from geodet.models.zoo.vitdet import (
    cascade_mask_rcnn_vitdet_b,
    cascade_mask_rcnn_vitdet_h,
    cascade_mask_rcnn_vitdet_l,
    mask_rcnn_vitdet_b,
    mask_rcnn_vitdet_h,
    mask_rcnn_vitdet_l,
)
from geodet.models.zoo.vitdet_lvis import (
    cascade_mask_rcnn_vitdet_b_lvis,
    cascade_mask_rcnn_vitdet_h_lvis,
    cascade_mask_rcnn_vitdet_l_lvis,
    mask_rcnn_vitdet_b_lvis,
    mask_rcnn_vitdet_h_lvis,
    mask_rcnn_vitdet_l_lvis,
)

__all__ = [
    "cascade_mask_rcnn_mvitv2_b",
    "cascade_mask_rcnn_mvitv2_b_vitdet",
    "cascade_mask_rcnn_mvitv2_b_vitdet_lvis",
    "cascade_mask_rcnn_mvitv2_h",
    "cascade_mask_rcnn_mvitv2_h_vitdet",
    "cascade_mask_rcnn_mvitv2_h_vitdet_lvis",
    "cascade_mask_rcnn_mvitv2_l",
    "cascade_mask_rcnn_mvitv2_l_vitdet",
    "cascade_mask_rcnn_mvitv2_l_vitdet_lvis",
    "cascade_mask_rcnn_mvitv2_s",
    "cascade_mask_rcnn_mvitv2_t",
    "cascade_mask_rcnn_swin_b",
    "cascade_mask_rcnn_swin_b_lvis",
    "cascade_mask_rcnn_swin_l",
    "cascade_mask_rcnn_swin_l_lvis",
    "cascade_mask_rcnn_vitdet_b",
    "cascade_mask_rcnn_vitdet_b_lvis",
    "cascade_mask_rcnn_vitdet_h",
    "cascade_mask_rcnn_vitdet_h_lvis",
    "cascade_mask_rcnn_vitdet_l",
    "cascade_mask_rcnn_vitdet_l_lvis",
    "faster_rcnn_r50_c4",
    "faster_rcnn_r50_dc5",
    "faster_rcnn_r50_fpn",
    "faster_rcnn_r101_c4",
    "faster_rcnn_r101_dc5",
    "faster_rcnn_r101_fpn",
    "mask_rcnn_mvitv2_t",
    "mask_rcnn_r18_fpn",
    "mask_rcnn_r50_c4",
    "mask_rcnn_r50_dc5",
    "mask_rcnn_r50_fpn",
    "mask_rcnn_r101_c4",
    "mask_rcnn_r101_dc5",
    "mask_rcnn_r101_fpn",
    "mask_rcnn_vitdet_b",
    "mask_rcnn_vitdet_b_lvis",
    "mask_rcnn_vitdet_h",
    "mask_rcnn_vitdet_h_lvis",
    "mask_rcnn_vitdet_l",
    "mask_rcnn_vitdet_l_lvis",
    "mask_rcnn_x101_fpn",
]
