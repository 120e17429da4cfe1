"""How the images of published checkpoints were normalised, sized and padded."""

from geodet.models.preprocess import Preprocess

__all__ = ["imagenet_pixels", "msra_pixels", "resnext_pixels"]


def msra_pixels(
    *, size_divisor: int = 32, short_edge: int = 800, max_long_edge: int = 1333
) -> Preprocess:
    """BGR less the mean alone: ResNets of MSRA, and everything trained from them.

    Args:
        size_divisor: 32 under a pyramid; 1 pads to the largest image of the batch and no more.
        short_edge: 800 for COCO, LVIS and VOC, 1024 for Cityscapes.
        max_long_edge: 1333 or 2048 likewise.
    """
    return Preprocess(
        channel_order="bgr",
        mean=(103.53, 116.28, 123.675),
        std=(1.0, 1.0, 1.0),
        size_divisor=size_divisor,
        short_edge=short_edge,
        max_long_edge=max_long_edge,
    )


def resnext_pixels(*, short_edge: int = 800, max_long_edge: int = 1333) -> Preprocess:
    """BGR less the mean, over the deviation: ResNeXt, RegNet, and ResNets trained from scratch."""
    return Preprocess(
        channel_order="bgr",
        mean=(103.53, 116.28, 123.675),
        std=(57.375, 57.12, 58.395),
        size_divisor=32,
        short_edge=short_edge,
        max_long_edge=max_long_edge,
    )


def imagenet_pixels(*, square_side: int | None = None) -> Preprocess:
    """RGB less the mean, over the deviation: torchvision and transformers.

    Args:
        square_side: the longer edge gets this length, and the batch is padded to a square of it;
            None resizes to 800 and pads to a multiple of 32.
    """
    return Preprocess(
        channel_order="rgb",
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        size_divisor=32,
        square_side=square_side,
        short_edge=square_side or 800,
        max_long_edge=square_side or 1333,
    )
