"""Names that Detectron2's tensors had before, and that checkpoints of that time still have."""

import re
from collections.abc import Mapping

from torch import Tensor

__all__ = ["with_present_names"]

# Followed in this order, each at most once per name.
_RENAMED = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # PointRend kept its parts beside each other in the heads of regions.
        (r"^roi_heads\.mask_coarse_head\.", "roi_heads.mask_head.coarse_head."),
        (r"^roi_heads\.mask_point_head\.", "roi_heads.mask_head.point_head."),
        (r"\.coarse_head\.coarse_mask_fc(?=\d)", ".coarse_head.fc"),
    )
)


def with_present_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, each by its name of today."""
    renamed = {}
    for name, value in tensors.items():
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name, count=1)  # noqa: PLW2901
        renamed[name] = value
    return renamed
