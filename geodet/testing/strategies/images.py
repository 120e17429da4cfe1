"""Strategies of what belongs to whole images: sizes, padded batches, maps of all pixels."""

import hypothesis.strategies as st
import numpy as np
import torch

from geodet.structures import (
    ImageList,
    ImageSize,
    PanopticSegmentation,
    Segment,
    SemanticMap,
    SemanticScores,
)
from geodet.testing.strategies._options import (
    Device,
    Sizes,
    Strategy,
    check_device,
    check_range,
    check_tensors,
    sizes_of,
)


def image_sizes(*, min_side: int = 1, max_side: int = 24) -> st.SearchStrategy[ImageSize]:
    """Draw image sizes with sides in [min_side, max_side] pixels.

    Reaches: one pixel, one row, one column, square.
    Shrinks to: the smallest image.
    """
    check_range("min_side", min_side, "max_side", max_side, lowest=1)
    sides = st.integers(min_side, max_side)
    return st.builds(ImageSize, sides, sides)


def image_lists(
    *,
    min_images: int = 1,
    max_images: int = 3,
    max_side: int = 12,
    channels: int = 3,
    dtype: torch.dtype = torch.uint8,
    device: Device = "cpu",
) -> st.SearchStrategy[ImageList]:
    """Draw padded batches of images in 0..255 with some size divisor.

    Args:
        min_images: fewest images.
        max_images: most images.
        max_side: longest side in pixels before padding.
        channels: of every image.
        dtype: uint8 or a floating-point dtype; values are whole numbers.
        device: where the batch lies.
    Reaches: one image, images of equal and of different sizes, no padding at all.
    Shrinks to: one black pixel.
    """
    check_range("min_images", min_images, "max_images", max_images, lowest=1)
    check_range("channels", channels, "channels", channels, lowest=1)
    check_tensors(dtype, device, also=(torch.uint8,))
    lists = _image_lists((min_images, max_images), image_sizes(max_side=max_side), channels)
    return lists.map(lambda batch: ImageList(batch.tensor.to(device, dtype), batch.sizes))


def panoptic_segmentations(
    *, image_size: Sizes = None, max_segments: int = 4, device: Device = "cpu"
) -> st.SearchStrategy[PanopticSegmentation]:
    """Draw maps of up to `max_segments` segments.

    Args:
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        max_segments: most segments, at most 255.
        device: where the map lies.
    Reaches: no segment, segments without pixels, pixels without a segment.
    Shrinks to: one pixel without a segment.
    """
    check_range("max_segments", max_segments, "most segments", 255)
    check_device(device)
    drawn = _panoptic(sizes_of(image_size, image_sizes()), max_segments)
    return drawn.map(lambda segmentation: segmentation.to(device))


def semantic_maps(
    *, image_size: Sizes = None, num_classes: int = 4, device: Device = "cpu"
) -> st.SearchStrategy[SemanticMap]:
    """Draw maps of classes in [-1, num_classes).

    Args:
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        num_classes: number of classes, at most 255.
        device: where the map lies.
    Reaches: pixels without a class, classes without pixels, a single class.
    Shrinks to: one pixel without a class.
    """
    check_range("num_classes", num_classes, "most classes", 255, lowest=1)
    check_device(device)
    drawn = _semantic(sizes_of(image_size, image_sizes()), num_classes)
    return drawn.map(lambda semantic: semantic.to(device))


def semantic_scores(
    *,
    image_size: Sizes = None,
    num_classes: int = 4,
    dtype: torch.dtype = torch.float32,
    device: Device = "cpu",
) -> st.SearchStrategy[SemanticScores]:
    """Draw scores at the resolution of a network: whole numbers in -128..127.

    Args:
        image_size: of the answers: a size, a strategy of sizes, or None for `image_sizes()`.
        num_classes: number of classes.
        dtype: a floating-point dtype.
        device: where the scores lie.
    Reaches: cells of one and of several pixels, padding, images larger and smaller than the
        network's input, ties between classes.
    Shrinks to: one pixel that all classes share.
    """
    check_range("num_classes", num_classes, "num_classes", num_classes, lowest=1)
    check_tensors(dtype, device)
    drawn = _scores(sizes_of(image_size, image_sizes()), num_classes)
    return drawn.map(lambda scores: scores.to(device, dtype=dtype))


@st.composite
def _semantic(draw: st.DrawFn, sizes: Strategy, num_classes: int) -> SemanticMap:
    size = draw(sizes)
    highest = draw(st.integers(0, num_classes))
    pixels = np.frombuffer(draw(st.binary(min_size=size.area, max_size=size.area)), dtype=np.uint8)
    labels = pixels.astype(np.int64) % (highest + 1) - 1
    return SemanticMap(torch.tensor(labels.reshape(size.as_tuple())))


@st.composite
def _scores(draw: st.DrawFn, sizes: Strategy, num_classes: int) -> SemanticScores:
    cells = draw(image_sizes(max_side=4))
    stride = draw(st.sampled_from([1, 2, 4, 8]))
    padding = [draw(st.integers(0, stride - 1)) for _ in range(2)]
    length = num_classes * cells.area
    values = np.frombuffer(draw(st.binary(min_size=length, max_size=length)), dtype=np.int8)
    return SemanticScores(
        torch.tensor(values.reshape(num_classes, *cells), dtype=torch.float32),
        stride=stride,
        input_size=ImageSize(cells.height * stride - padding[0], cells.width * stride - padding[1]),
        image_size=draw(sizes),
    )


@st.composite
def _panoptic(draw: st.DrawFn, sizes: Strategy, max_segments: int) -> PanopticSegmentation:
    size = draw(sizes)
    ids = draw(st.lists(st.integers(1, 10_000), max_size=max_segments, unique=True))
    segments = [
        Segment(number, draw(st.integers(0, 3)), is_thing=draw(st.booleans()), is_crowd=False)
        for number in ids
    ]
    pixels = np.frombuffer(draw(st.binary(min_size=size.area, max_size=size.area)), dtype=np.uint8)
    table = np.array([0, *ids], dtype=np.int32)
    drawn = table[pixels % len(table)].reshape(size.as_tuple())
    return PanopticSegmentation(torch.tensor(drawn), segments)


@st.composite
def _image_lists(
    draw: st.DrawFn, count: tuple[int, int], sizes: Strategy, channels: int
) -> ImageList:
    images = []
    for size in draw(st.lists(sizes, min_size=count[0], max_size=count[1])):
        length = channels * size.area
        values = np.frombuffer(draw(st.binary(min_size=length, max_size=length)), dtype=np.uint8)
        images.append(torch.tensor(values.reshape(channels, *size)))
    return ImageList.from_images(images, size_divisor=draw(st.sampled_from([1, 2, 4, 7])))
