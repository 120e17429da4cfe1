"""Semantic segmentation: a class for each pixel, or a score for each class and pixel.

Shapes: c classes; h x w pixels, or cells of a network's map that stand for several pixels each.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Self

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from geodet import _check
from geodet.errors import InvalidValueError, ShapeError
from geodet.structures._mask_checks import check_padding, check_window
from geodet.structures._table import Structure, fail, register
from geodet.structures.bit_masks import BitMasks, pixels_under_centers
from geodet.structures.image_size import ImageSize
from geodet.structures.panoptic import PanopticSegmentation, Segment
from geodet.structures.roi_masks import check_image_size

# Numbers that one step of resampling holds at a time: 64 MiB.
_CHUNK_NUMBERS = 1 << 24


@register
@attrs.frozen(eq=False, repr=False)
class SemanticMap(Structure):
    """The class of every pixel.

    Args:
        labels: [h, w] int64 contiguous classes from 0; -1 is a pixel that nobody knows the class
            of, which neither trains nor counts.
    Raises:
        DtypeError: not a tensor, or not int64.
        ShapeError: not [h, w] with at least one pixel.
    """

    labels: Tensor

    def __attrs_post_init__(self) -> None:
        _check.check_dtype(
            "labels", _check.check_shape("labels", self.labels, "h", "w"), torch.int64
        )
        if self.labels.numel() == 0:
            raise ShapeError(f"labels: expected at least one pixel, got {list(self.labels.shape)}")

    @classmethod
    def empty(cls, image_size: ImageSize, *, device: torch.device | str = "cpu") -> "SemanticMap":
        """Return a map of this size where no pixel has a class."""
        return cls(torch.full(image_size.as_tuple(), -1, dtype=torch.int64, device=device))

    @classmethod
    def from_panoptic(
        cls, panoptic: PanopticSegmentation, *, ignore_crowd: bool = False
    ) -> "SemanticMap":
        """Keep the class of each pixel and forget which segment it belongs to. Exact.

        Args:
            panoptic: pixels without a segment get -1.
            ignore_crowd: crowd segments get -1 too, instead of their class.
        """
        crowd = -1 if ignore_crowd else None
        return cls(panoptic.to_semantic(unlabelled=-1, crowd=crowd))

    @property
    def image_size(self) -> ImageSize:
        """Size of the map."""
        return ImageSize(self.labels.shape[0], self.labels.shape[1])

    def classes(self) -> Tensor:
        """[k] int64, the classes that have pixels, ascending, without -1."""
        found: Tensor = self.labels.unique()
        return found[found >= 0]

    def relabelled(self, table: Sequence[int]) -> Self:
        """Replace each class by another one. Exact.

        Args:
            table: the new class of each old one, -1 for none; -1 itself stays.
        Raises:
            InvalidValueError: a class of the map has no entry.
        """
        highest = int(self.labels.max())
        if highest >= len(table):
            fail(f"table: expected an entry for class {highest}, got {len(table)} entries")
        # The entry for -1 comes last, where index -1 finds it.
        numbers = torch.tensor([*table, -1], dtype=torch.int64, device=self.labels.device)
        return type(self)(numbers[self.labels])

    def to_panoptic(self, *, things: Collection[int] = ()) -> PanopticSegmentation:
        """Make one segment of each class that has pixels. Exact.

        Args:
            things: the classes that are things; all their pixels become one of them.
        Returns:
            Segments by ascending class; the id of class k is k + 1.
        """
        segments = [
            Segment(label + 1, label, is_thing=label in things) for label in self.classes().tolist()
        ]
        return PanopticSegmentation((self.labels + 1).to(torch.int32), segments)

    def to_bit_masks(self, classes: Sequence[int]) -> BitMasks:
        """Return the mask of each class asked for. Exact.

        Args:
            classes: k numbers; -1 gives the pixels without a class.
        """
        wanted = torch.tensor(list(classes), dtype=torch.int64, device=self.labels.device)
        return BitMasks(self.labels[None] == wanted[:, None, None])

    def crop(self, xyxy: tuple[int, int, int, int]) -> Self:
        """Cut a window of whole pixels inside the image out. Exact.

        Args:
            xyxy: left, top, right, bottom in pixels; right and bottom are not included.
        Raises:
            InvalidValueError: the window is empty or reaches outside.
        """
        check_window(xyxy, self.image_size)
        left, top, right, bottom = xyxy
        return type(self)(self.labels[top:bottom, left:right])

    def pad(self, left: int, top: int, right: int, bottom: int) -> Self:
        """Make the image larger by so many pixels without a class on each side. Exact.

        Raises:
            InvalidValueError: a number is negative; `crop` makes images smaller.
        """
        check_padding(left, top, right, bottom, self.image_size)
        return type(self)(functional.pad(self.labels, (left, right, top, bottom), value=-1))

    def rotate_90(self, quarter_turns: int = 1) -> Self:
        """Turn the map counter-clockwise as seen, by any whole number of quarters. Exact."""
        return type(self)(torch.rot90(self.labels, quarter_turns))

    def flip_horizontally(self) -> Self:
        """Mirror left and right. Exact."""
        return type(self)(self.labels.flip(1))

    def flip_vertically(self) -> Self:
        """Mirror top and bottom. Exact."""
        return type(self)(self.labels.flip(0))

    def resize(self, size: ImageSize) -> Self:
        """Give each new pixel the class under its centre (nearest, classes never mix)."""
        height, width = self.image_size
        rows = pixels_under_centers(height, size.height, self.labels.device)
        columns = pixels_under_centers(width, size.width, self.labels.device)
        return type(self)(self.labels[rows][:, columns])

    def validated(self, *, num_classes: int | None = None, where: str = "") -> Self:
        """Return the map when every pixel has a class or -1.

        Args:
            num_classes: if given, classes must be smaller.
            where: put before the message, for example a file and an image.
        Raises:
            InvalidValueError: a number is out of range.
        """
        wanted = "at least -1" if num_classes is None else f"in [-1, {num_classes})"
        lowest, highest = (int(value) for value in torch.aminmax(self.labels))
        too_high = num_classes is not None and highest >= num_classes
        if lowest < -1 or too_high:
            fail(f"labels: expected {wanted}, got {lowest if lowest < -1 else highest}", where)
        return self


@register
@attrs.frozen(eq=False, repr=False)
class SemanticScores(Structure):
    """What a network says about every class and pixel, kept at the network's resolution.

    A full-size map of many classes takes gigabytes, so none is made until asked for: `resize`
    only notes the size, and `to_semantic_map` resamples some rows at a time. Resampling goes as
    networks were trained: cells are enlarged to the pixels of the network's input, padding is cut
    off, and what remains is stretched to the image; both steps are bilinear, cell centres at 0.5.

    Args:
        logits: [c, h, w] floating point, at least one class and one cell.
        stride: pixels of the network's input per cell, along both axes.
        input_size: true size of the image in the network's input, without padding.
        image_size: size of the image that the answers are for.
    Raises:
        DtypeError: the logits are no floating-point tensor, or a size is no ImageSize.
        ShapeError: not [c, h, w], or the cells do not cover the image.
        InvalidValueError: the stride is smaller than 1.
    Reference: the order of steps is Detectron2's (sem_seg_postprocess).
    """

    logits: Tensor
    stride: int = attrs.field(kw_only=True)
    input_size: ImageSize = attrs.field(kw_only=True)
    image_size: ImageSize = attrs.field(kw_only=True)

    def __attrs_post_init__(self) -> None:
        _check.check_floating("logits", _check.check_shape("logits", self.logits, "c", "h", "w"))
        for size in (self.input_size, self.image_size):
            check_image_size(size)
        if self.stride < 1:
            raise InvalidValueError(f"stride: expected at least 1, got {self.stride}")
        classes, height, width = self.logits.shape
        covered = (height * self.stride, width * self.stride)
        if (
            classes == 0
            or covered[0] < self.input_size.height
            or covered[1] < self.input_size.width
        ):
            raise ShapeError(
                f"logits: expected at least one class, and cells of stride {self.stride} that "
                f"cover {self.input_size}, got {list(self.logits.shape)}"
            )

    @classmethod
    def from_logits(cls, logits: Tensor) -> "SemanticScores":
        """Wrap logits [c, h, w] that have one cell per pixel of the image."""
        _check.check_shape("logits", logits, "c", "h", "w")
        size = ImageSize(logits.shape[1], logits.shape[2])
        return cls(logits, stride=1, input_size=size, image_size=size)

    @property
    def num_classes(self) -> int:
        """Number c of classes."""
        return self.logits.shape[0]

    def resize(self, size: ImageSize) -> Self:
        """Answer for an image of another size; costs nothing and loses nothing."""
        return attrs.evolve(self, image_size=size)

    def dense(self) -> Tensor:
        """[c, image_size] float32 logits of every pixel; large for many classes."""
        return torch.cat(list(self._slabs()), dim=1)

    def to_semantic_map(self) -> SemanticMap:
        """Return the class of the highest score of each pixel; ties go to the lower class."""
        return SemanticMap(torch.cat([slab.argmax(0) for slab in self._slabs()]))

    def probability_of(self, classes: SemanticMap) -> Tensor:
        """Return how probable one class is at each pixel, by the softmax over all classes.

        Args:
            classes: which class, of the size of the image.
        Returns:
            [h, w] float32; 0 where `classes` names none.
        Raises:
            ShapeError: the sizes differ.
        """
        if classes.image_size != self.image_size:
            raise ShapeError(f"classes: expected {self.image_size}, got {classes.image_size}")
        parts, start = [], 0
        for slab in self._slabs():
            wanted = classes.labels[start : start + slab.shape[1]]
            start += slab.shape[1]
            chosen = slab.gather(0, wanted.clamp(min=0)[None])[0]
            parts.append((chosen - slab.logsumexp(0)).exp() * (wanted >= 0))
        return torch.cat(parts)

    def flip_horizontally(self) -> Self:
        """Mirror left and right; the result is dense, as padding lies at one side only."""
        return self._of_pixels(self.dense().flip(2))

    def flip_vertically(self) -> Self:
        """Mirror top and bottom; the result is dense."""
        return self._of_pixels(self.dense().flip(1))

    def validated(self, *, where: str = "") -> Self:
        """Return the scores when all are finite.

        Raises:
            InvalidValueError: a score is not; names its class.
        """
        bad = ~torch.isfinite(self.logits).flatten(1).all(1)
        if bool(bad.any()):
            fail(f"logits of class {int(bad.nonzero()[0, 0])}: expected finite numbers", where)
        return self

    def _of_pixels(self, dense: Tensor) -> Self:
        return type(self)(dense, stride=1, input_size=self.image_size, image_size=self.image_size)

    def _slabs(self) -> Iterator[Tensor]:
        """[c, k, width] float32 logits of so many rows of the image that memory stays bounded."""
        height, width = self.image_size
        shrunk = -(-self.input_size.height // height)  # input rows that one image row may need
        cost = self.num_classes * max(width, shrunk * self.logits.shape[2] * self.stride)
        step = max(1, _CHUNK_NUMBERS // cost)
        for start in range(0, height, step):
            yield self._slab(start, min(start + step, height))

    def _slab(self, start: int, stop: int) -> Tensor:
        if self.image_size == self.input_size:
            return self._input_rows(start, stop)
        height, width = self.image_size
        ratio = self.input_size.height / height
        wanted = torch.arange(start, stop, device=self.logits.device, dtype=torch.float32)
        position = ((wanted + 0.5) * ratio - 0.5).clamp(min=0.0)
        upper = position.long().clamp(max=self.input_size.height - 1)
        lower = (upper + 1).clamp(max=self.input_size.height - 1)
        first, last = _source_rows(start, stop, ratio, self.input_size.height)
        rows = self._input_rows(first, last)
        # Rounding on a GPU may differ in the last bit, so positions never leave the rows at hand.
        upper, lower = ((at - first).clamp(0, last - first - 1) for at in (upper, lower))
        weight = (position - position.floor())[:, None]
        mixed = torch.lerp(rows[:, upper], rows[:, lower], weight)
        return functional.interpolate(
            mixed[None], size=(stop - start, width), mode="bilinear", align_corners=False
        )[0]

    def _input_rows(self, start: int, stop: int) -> Tensor:
        """[c, stop - start, input width] logits of rows of the network's input."""
        stride, width = self.stride, self.input_size.width
        if stride == 1:
            return self.logits[:, start:stop, :width].float()
        # One more cell at each side: what lies between two cells depends on both.
        first = max(0, start // stride - 1)
        cells = self.logits[:, first : -(-stop // stride) + 1].float()
        enlarged = functional.interpolate(
            cells[None], scale_factor=float(stride), mode="bilinear", align_corners=False
        )[0]
        offset = first * stride
        return enlarged[:, start - offset : stop - offset, :width]


def _source_rows(start: int, stop: int, ratio: float, height: int) -> tuple[int, int]:
    """Rows [first, last) that resampling to rows [start, stop) reads, and one to spare."""
    first = int((start + 0.5) * ratio - 0.5) - 1
    last = int((stop - 0.5) * ratio - 0.5) + 3
    return max(0, min(first, height - 1)), max(1, min(last, height))
