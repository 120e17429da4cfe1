"""Operators on tensors: the compiled core as torch sees it.

Each is registered with torch.library (schema, fake, gradient where it means something), runs on
CPU and CUDA with the same comparisons, and has its specification in `geodet.ops.reference`.
"""

from geodet.ops.boxes import box_area, pairwise_box_iou
from geodet.ops.nms import batched_nms, nms
from geodet.ops.paste import paste_mask_probabilities, paste_masks
from geodet.ops.rois import roi_align

__all__ = [
    "batched_nms",
    "box_area",
    "nms",
    "pairwise_box_iou",
    "paste_mask_probabilities",
    "paste_masks",
    "roi_align",
]
