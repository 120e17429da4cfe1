"""Scenes of centres: pixels go to the centre they point at, and a group's class is its majority's.

Letters: k centres, h x w pixels.
Reference: Cheng et al. 2020 (arXiv 1911.10194), section 3.2; numbers of Detectron2's project.
"""

from typing import cast

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from geodet.errors import InvalidValueError, ShapeError
from geodet.structures import (
    ImageSize,
    Instances,
    PanopticSegmentation,
    SceneLabels,
    Segment,
    SemanticMap,
    SemanticScores,
)
from geodet.structures._table import Structure, register

__all__ = ["CenterGrouping", "find_centers", "group_pixels"]

# Distances that one step of grouping holds at a time: 64 MiB.
_CHUNK_NUMBERS = 1 << 24


@register
@attrs.frozen(eq=False, repr=False)
class CenterGrouping(Structure):
    """A `SceneMerging` that has an image's centres and offsets with it.

    Pixels of thing classes go to the nearest of the centres, seen from where their offset leads;
    the class of a group is that of most of its pixels. Classes of background keep their pixels if
    these are at least `min_stuff_area`.

    Args:
        heat: one channel, heat of centres, at the network's resolution.
        offsets: two channels, pixels of the network's input down and right.
        labels: what the semantic classes are called in the scene; one for each thing.
        threshold: heat of a centre must be above it.
        suppression_side: a centre is the hottest of so many pixels along both sides around it.
        max_centers: of more centres, those hotter than the one in this place stay.
        min_stuff_area: least area of a background class, pixels.
    Raises:
        ShapeError: heat and offsets have other numbers of channels.
        InvalidValueError: a number is out of range, or things have no classes of their own.
    """

    heat: SemanticScores
    offsets: SemanticScores
    labels: SceneLabels = attrs.field(kw_only=True)
    threshold: float = attrs.field(default=0.1, kw_only=True)
    suppression_side: int = attrs.field(default=7, kw_only=True)
    max_centers: int = attrs.field(default=200, kw_only=True)
    min_stuff_area: int = attrs.field(default=2048, kw_only=True)

    def __attrs_post_init__(self) -> None:
        channels = (self.heat.num_classes, self.offsets.num_classes)
        if channels != (1, 2):
            raise ShapeError(f"heat, offsets: expected 1 and 2 channels, got {channels}")
        if not set(self.labels.things) <= set(self.labels.semantic) or None in self.labels.semantic:
            raise InvalidValueError(
                "labels: expected a semantic class of its own for each thing, got "
                f"{self.labels.semantic}; use SceneLabels.all_semantic"
            )
        if self.suppression_side < 1 or self.suppression_side % 2 == 0 or self.max_centers < 1:
            raise InvalidValueError(
                "suppression_side, max_centers: expected an odd side and at least 1, got "
                f"{self.suppression_side} and {self.max_centers}"
            )

    def merge(self, instances: Instances, semantic: SemanticScores) -> PanopticSegmentation:
        """Group the pixels of an image.

        Args:
            instances: not looked at; the groups are the objects.
            semantic: scores for an image of any size.
        Returns:
            The scene on the device of `semantic`: things first, in the order of their centres by
            row and column, then background by class.
        Empty: without centres, pixels of things have no segment.
        """
        del instances
        return self.group(semantic.to_semantic_map())

    def group(self, semantic: SemanticMap) -> PanopticSegmentation:
        """As `merge`, for classes that are decided already."""
        classes = semantic.labels
        groups = self._groups(classes, semantic.image_size)
        # [h, w] and [k, c]: pixels of a class in a group
        grouped, num_classes = groups >= 0, len(self.labels.semantic)
        cells = groups[grouped] * num_classes + classes[grouped]
        count = int(groups.max()) + 1
        votes = torch.bincount(cells, minlength=count * num_classes).view(count, num_classes)
        segments: list[Segment] = []
        of_group = [
            self._add(segments, best, is_thing=True) if size else 0
            for best, size in zip(votes.argmax(1).tolist(), votes.sum(1).tolist(), strict=True)
        ]
        areas = torch.bincount(classes[classes >= 0], minlength=num_classes).tolist()
        of_class = [
            self._add(segments, index, is_thing=False)
            if not self._is_thing(index) and area >= max(1, self.min_stuff_area)
            else 0
            for index, area in enumerate(areas)
        ]
        # The entry for -1, no group or no class, comes last, where index -1 finds it.
        tables = [
            torch.tensor([*ids, 0], dtype=torch.int32, device=classes.device)
            for ids in (of_group, of_class)
        ]
        ids = torch.where(grouped, tables[0][groups], tables[1][classes])
        return PanopticSegmentation(ids, segments)

    def _add(self, segments: list[Segment], index: int, *, is_thing: bool) -> int:
        """Append a segment of a semantic class; returns its id."""
        label = self.labels.semantic[index]
        segments.append(Segment(len(segments) + 1, cast("int", label), is_thing=is_thing))
        return len(segments)

    def _is_thing(self, index: int) -> bool:
        return self.labels.semantic[index] in self.labels.things

    def _groups(self, classes: Tensor, size: ImageSize) -> Tensor:
        """[h, w] int64 row of each thing pixel's centre; -1 for other pixels."""
        indices = range(len(self.labels.semantic))
        is_thing = torch.tensor([*map(self._is_thing, indices), False], device=classes.device)
        groups = torch.full_like(classes, -1)
        centers = self.centers(size)
        places = torch.nonzero(is_thing[classes])
        if len(centers) == 0 or len(places) == 0:
            return groups
        old = self.offsets.input_size
        offsets = self.offsets.resize(size).dense()
        # Detectron2 keeps the offsets of the network's input; they grow with the image.
        factors = offsets.new_tensor([size.height / old.height, size.width / old.width])
        ends = places + offsets[:, places[:, 0], places[:, 1]].t() * factors
        groups[places[:, 0], places[:, 1]] = group_pixels(centers, ends)
        return groups

    def centers(self, size: ImageSize) -> Tensor:
        """[k, 2] int64 row and column of the centres in an image of this size, in raster order."""
        return find_centers(
            self.heat.resize(size).dense()[0],
            threshold=self.threshold,
            side=self.suppression_side,
            most=self.max_centers,
        )


def find_centers(heat: Tensor, *, threshold: float, side: int, most: int) -> Tensor:
    """Peaks of a map of heat.

    Args:
        heat: [h, w].
        threshold: a peak must be above it, and above 0.
        side: odd; a peak is the greatest of side x side pixels around it, and the first by row
            and column of equal ones there.
        most: of more peaks, those above the one in this place by descending heat stay.
    Returns:
        [k, 2] int64 row and column, in raster order.
    """
    greatest = functional.max_pool2d(heat[None, None], side, stride=1, padding=side // 2)[0, 0]
    peak = (heat == greatest) & (heat > max(threshold, 0.0))
    # Enlarged maps have plateaus at their peaks: one object shall not get several centres.
    last = torch.arange(heat.numel(), 0, -1, device=heat.device, dtype=torch.float64)
    ranks = torch.where(peak, last.view_as(heat), 0.0)
    peak &= (
        ranks == functional.max_pool2d(ranks[None, None], side, stride=1, padding=side // 2)[0, 0]
    )
    values = heat[peak]
    if len(values) >= most:
        peak &= heat > values.topk(most).values[-1]
    return torch.nonzero(peak)


def group_pixels(centers: Tensor, ends: Tensor) -> Tensor:
    """The nearest centre of each point, in bounded memory.

    Args:
        centers: [k, 2], at least one.
        ends: [n, 2] float points.
    Returns:
        [n] int64 rows of `centers`; of equal distances the first.
    Empty: n = 0 gives n = 0.
    """
    step = max(1, _CHUNK_NUMBERS // len(centers))
    nearest = [
        torch.cdist(part, centers.to(ends), compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
        for part in ends.split(step)
    ]
    return torch.cat(nearest) if nearest else ends.new_zeros(0, dtype=torch.int64)
