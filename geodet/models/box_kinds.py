"""Upright and rotated boxes as rows of numbers: what differs between them, in one place.

Everything that proposes, matches, pools, decodes or suppresses boxes is written once, against
`BoxKind`. Letters: n and m boxes, r regions, k = `columns`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Generic, TypeAlias, TypeVar

import torch
from torch import Tensor

from geodet import ops
from geodet.errors import CompositionError, DtypeError
from geodet.structures import Boxes, RotatedBoxes

__all__ = ["ROTATED", "UPRIGHT", "AnyBoxKind", "BoxKind", "RotatedKind", "UprightKind"]

BoxesT = TypeVar("BoxesT", Boxes, RotatedBoxes)
_Measure: TypeAlias = Callable[[Tensor, Tensor], Tensor]


class BoxKind(ABC, Generic[BoxesT]):
    """Abstract: one way to write a box as k numbers, with the operators on it.

    Attributes:
        structure: the type that users see.
        columns: numbers per box.
        sound: what values of a ground-truth box must be, in words.
        measures: name -> [n] similarity of row i and row i, at most 1; differentiable.
    """

    structure: type[BoxesT]
    columns: ClassVar[int]
    sound: ClassVar[str]
    measures: ClassVar[Mapping[str, _Measure]]
    _fix: ClassVar[str]

    @abstractmethod
    def wrap(self, boxes: Tensor) -> BoxesT:
        """[n, k] as what users see."""

    @abstractmethod
    def _rows(self, boxes: BoxesT) -> Tensor:
        """Stored numbers of `boxes`."""

    def unwrap(self, boxes: object, *, name: str) -> Tensor:
        """Numbers [n, k] of boxes of this kind.

        Args:
            boxes: what a user gave.
            name: of the argument, for the message.
        Raises:
            DtypeError: they are of another kind; says what the model takes and how to convert.
        """
        if not isinstance(boxes, self.structure):
            raise DtypeError(
                f"{name}: the model takes {self.structure.__name__}, got "
                f"{type(boxes).__name__}; {self._fix}"
            )
        return self._rows(boxes)

    @abstractmethod
    def pairwise_iou(self, a: Tensor, b: Tensor) -> Tensor:
        """[n, k] and [m, k] to [n, m] in [0, 1]."""

    @abstractmethod
    def batched_nms(
        self, boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float
    ) -> Tensor:
        """Indices of the boxes [n, k] that survive in their group, by descending score."""

    @abstractmethod
    def clip(self, boxes: Tensor, limits: Tensor) -> Tensor:
        """Cut boxes at the border of their image.

        Args:
            boxes: [..., k].
            limits: width and height, broadcastable to [..., 2].
        Returns:
            [..., k].
        """

    @abstractmethod
    def sides(self, boxes: Tensor) -> Tensor:
        """[..., k] to [..., 2]: width and height."""

    @abstractmethod
    def places(self, boxes: Tensor, shares: Tensor) -> Tensor:
        """Points of the image at shares of the sides of their boxes.

        Args:
            boxes: [n, k].
            shares: [n, p, 2] in [0, 1], of width and height, from the corner that is top left at
                angle 0.
        Returns:
            [n, p, 2] as (x, y) in pixels.
        """

    @abstractmethod
    def in_order(self, boxes: Tensor) -> Tensor:
        """[n, k] to [n] bool: neither NaN nor of a negative side."""

    @abstractmethod
    def roi_align(
        self,
        features: Tensor,
        rois: Tensor,
        side: int,
        *,
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = True,
    ) -> Tensor:
        """Pool regions [r, 1 + k] of maps [b, c, h, w] to [r, c, side, side]; not `aligned`
        takes pixel centres to lie at whole numbers, which upright regions alone can.
        """

    def area(self, boxes: Tensor) -> Tensor:
        """[..., k] to [...] square pixels."""
        return self.sides(boxes).prod(-1)

    def empty(self, *, device: torch.device) -> Tensor:
        """[0, k] float32."""
        return torch.zeros((0, self.columns), device=device)

    def measure(self, name: str, *, asked_by: str) -> _Measure:
        """Similarity of matched boxes by name.

        Raises:
            CompositionError: it is not defined for boxes of this kind.
        """
        if name not in self.measures:
            raise CompositionError(
                f"{asked_by}: {self.structure.__name__} have no {name!r}; take one of "
                f"{', '.join(map(repr, self.measures))}"
            )
        return self.measures[name]

    def __eq__(self, other: object) -> bool:
        # A copied or unpickled model has kinds of its own.
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class UprightKind(BoxKind[Boxes]):
    """Final: x1, y1, x2, y2 in pixels."""

    structure = Boxes
    columns = 4
    sound = "finite x1 <= x2 and y1 <= y2"
    measures: ClassVar[Mapping[str, _Measure]] = {
        "iou": ops.matched_box_iou,
        "giou": ops.matched_box_giou,
        "diou": ops.matched_box_diou,
        "ciou": ops.matched_box_ciou,
    }
    _fix = "take boxes.hull() for the upright box around each, or a model of rotated boxes"

    def wrap(self, boxes: Tensor) -> Boxes:
        """[n, 4] as Boxes."""
        return Boxes(boxes)

    def _rows(self, boxes: Boxes) -> Tensor:
        return boxes.xyxy

    def pairwise_iou(self, a: Tensor, b: Tensor) -> Tensor:
        """As in `BoxKind`."""
        return ops.pairwise_box_iou(a, b)

    def batched_nms(
        self, boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float
    ) -> Tensor:
        """As in `BoxKind`."""
        return ops.batched_nms(boxes, scores, groups, iou_threshold)

    def clip(self, boxes: Tensor, limits: Tensor) -> Tensor:
        """Move every side that lies outside to the border."""
        return boxes.clamp(min=0).minimum(torch.cat([limits, limits], dim=-1))

    def sides(self, boxes: Tensor) -> Tensor:
        """As in `BoxKind`."""
        return boxes[..., 2:] - boxes[..., :2]

    def places(self, boxes: Tensor, shares: Tensor) -> Tensor:
        """As in `BoxKind`."""
        return shares * self.sides(boxes)[:, None] + boxes[:, None, :2]

    def in_order(self, boxes: Tensor) -> Tensor:
        """As in `BoxKind`."""
        return (boxes[:, 2:] >= boxes[:, :2]).all(-1)

    def roi_align(
        self,
        features: Tensor,
        rois: Tensor,
        side: int,
        *,
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = True,
    ) -> Tensor:
        """See `BoxKind`."""
        return ops.roi_align(
            features,
            rois,
            (side, side),
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            aligned=aligned,
        )


class RotatedKind(BoxKind[RotatedBoxes]):
    """Final: centre x, centre y, width, height in pixels, angle in degrees.

    Clipping follows Detectron2: a box is cut when it stands within a degree of upright, and left
    as it is otherwise. `RotatedBoxes.clip_to` shrinks every box to what lies inside: another rule.
    """

    structure = RotatedBoxes
    columns = 5
    sound = "finite numbers, width >= 0 and height >= 0"
    measures: ClassVar[Mapping[str, _Measure]] = {
        "iou": ops.matched_rotated_iou,
        "giou": ops.matched_rotated_giou,
    }
    _fix = "take boxes.to_rotated(), or a model of upright boxes"

    def wrap(self, boxes: Tensor) -> RotatedBoxes:
        """[n, 5] as RotatedBoxes."""
        return RotatedBoxes(boxes)

    def _rows(self, boxes: RotatedBoxes) -> Tensor:
        return boxes.cxcywha

    def pairwise_iou(self, a: Tensor, b: Tensor) -> Tensor:
        """As in `BoxKind`."""
        return ops.pairwise_rotated_iou(a, b)

    def batched_nms(
        self, boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float
    ) -> Tensor:
        """As in `BoxKind`."""
        return ops.batched_rotated_nms(boxes, scores, groups, iou_threshold)

    def clip(self, boxes: Tensor, limits: Tensor) -> Tensor:
        """Cut boxes within a degree of upright as if they were upright."""
        angle = torch.remainder(boxes[..., 4:] + 180.0, 360.0) - 180.0
        centre, half = boxes[..., :2], boxes[..., 2:4] / 2
        low = (centre - half).clamp(min=0).minimum(limits)
        high = (centre + half).clamp(min=0).minimum(limits)
        # The minimum undoes what rounding adds.
        sides = boxes[..., 2:4].minimum(high - low)
        cut = torch.cat([(low + high) / 2, sides, angle], dim=-1)
        kept = torch.cat([boxes[..., :4], angle], dim=-1)
        return torch.where(angle.abs() <= 1.0, cut, kept)

    def sides(self, boxes: Tensor) -> Tensor:
        """As in `BoxKind`."""
        return boxes[..., 2:4]

    def places(self, boxes: Tensor, shares: Tensor) -> Tensor:
        """As in `BoxKind`."""
        along, down = ((shares - 0.5) * self.sides(boxes)[:, None]).unbind(-1)
        angle = torch.deg2rad(boxes[:, 4:])
        cos, sin = torch.cos(angle), torch.sin(angle)
        offsets = torch.stack((along * cos + down * sin, down * cos - along * sin), dim=-1)
        return boxes[:, None, :2] + offsets

    def in_order(self, boxes: Tensor) -> Tensor:
        """As in `BoxKind`."""
        return (boxes[:, 2:4] >= 0).all(-1)

    def roi_align(
        self,
        features: Tensor,
        rois: Tensor,
        side: int,
        *,
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = True,
    ) -> Tensor:
        """As in `BoxKind`; the grid of cells turns with its region.

        Raises:
            CompositionError: not aligned.
        """
        if not aligned:
            raise CompositionError("RotatedBoxes: regions are always pooled aligned")
        return ops.roi_align_rotated(
            features,
            rois,
            (side, side),
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
        )


AnyBoxKind: TypeAlias = UprightKind | RotatedKind

UPRIGHT = UprightKind()
ROTATED = RotatedKind()
