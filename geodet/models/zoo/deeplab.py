"""DeepLab as Detectron2 publishes it: on Cityscapes (19 classes, 8 of them things) and on COCO.

The mean inside ASPP keeps the window of the training crops: 512 x 1024 pixels, 640 x 640 on COCO.
"""

from geodet.models.detectors import (
    PanopticDeepLab,
    SemanticSegmentor,
    deeplab_v3,
    deeplab_v3_plus,
    panoptic_deeplab,
)
from geodet.models.preprocess import Preprocess
from geodet.structures import SceneLabels

__all__ = [
    "deeplab_v3_plus_r103",
    "deeplab_v3_r103",
    "panoptic_deeplab_r52",
    "panoptic_deeplab_r52_coco_separable",
    "panoptic_deeplab_r52_separable",
]

_CROP_CELLS = (32, 64)


def deeplab_v3_r103(*, num_classes: int = 19) -> SemanticSegmentor:
    """DeepLabV3, ResNet-101 with a stem of three convolutions."""
    return deeplab_v3(
        num_classes=num_classes, preprocess=_pixels(), depth=101, pool_cells=_CROP_CELLS
    )


def deeplab_v3_plus_r103(*, num_classes: int = 19) -> SemanticSegmentor:
    """DeepLabV3+, ResNet-101 with a stem of three convolutions."""
    return deeplab_v3_plus(
        num_classes=num_classes, preprocess=_pixels(), depth=101, pool_cells=_CROP_CELLS
    )


def panoptic_deeplab_r52(*, num_things: int = 8, num_stuff: int = 11) -> PanopticDeepLab:
    """Panoptic-DeepLab, ResNet-50 with a stem of three convolutions.

    Classes are numbered as Cityscapes' training ids: stuff first, then things.
    """
    count = num_stuff + num_things
    return panoptic_deeplab(
        labels=SceneLabels(things=range(num_stuff, count), semantic=range(count)),
        preprocess=_pixels(),
        depth=50,
        separable=False,
        pool_cells=_CROP_CELLS,
    )


def panoptic_deeplab_r52_separable(*, num_things: int = 8, num_stuff: int = 11) -> PanopticDeepLab:
    """As `panoptic_deeplab_r52`, with depthwise separable convolutions in the heads."""
    count = num_stuff + num_things
    return panoptic_deeplab(
        labels=SceneLabels(things=range(num_stuff, count), semantic=range(count)),
        preprocess=_pixels(),
        depth=50,
        separable=True,
        pool_cells=_CROP_CELLS,
    )


def panoptic_deeplab_r52_coco_separable(
    *, num_things: int = 80, num_stuff: int = 53
) -> PanopticDeepLab:
    """Panoptic-DeepLab with separable convolutions, COCO's classes, in squares of 640 pixels.

    Classes are numbered as COCO's: things first, then stuff.
    """
    return panoptic_deeplab(
        labels=SceneLabels.all_semantic(num_things=num_things, num_stuff=num_stuff),
        preprocess=_pixels(short_edge=640, max_long_edge=640, size_divisor=640),
        depth=50,
        separable=True,
        pool_cells=(40, 40),
        hard_fraction=1.0,
        suppression_side=41,
        min_stuff_area=4096,
    )


def _pixels(
    *, short_edge: int = 1024, max_long_edge: int = 2048, size_divisor: int = 1
) -> Preprocess:
    return Preprocess(
        channel_order="rgb",
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        size_divisor=size_divisor,
        short_edge=short_edge,
        max_long_edge=max_long_edge,
    )
