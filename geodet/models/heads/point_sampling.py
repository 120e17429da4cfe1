"""Maps read at points: where to look, and what is there.

Letters: n maps or regions, p points, c channels, s cells of a map along both sides. Points are
shares of width and height in [0, 1], as (x, y) from the top left.
Reference: Kirillov et al. 2019, "PointRend" (arXiv 1912.08193), section 3.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.box_kinds import UPRIGHT, AnyBoxKind
from geodet.models.heads.pooler import RegionPooler
from geodet.structures import Masks

__all__ = [
    "PointPooler",
    "grid_points",
    "mask_values",
    "region_features",
    "sample_maps",
    "uncertain_cells",
    "uncertain_points",
]


def sample_maps(maps: Tensor, points: Tensor, *, mode: str = "bilinear") -> Tensor:
    """Values of maps at points, zeros beyond their border.

    Args:
        maps: [n, c, h, w].
        points: [n, p, 2].
        mode: "bilinear" or "nearest".
    Returns:
        [n, c, p].
    Empty: n = 0 or p = 0 gives an empty tensor of that shape.
    """
    if maps.shape[0] == 0 or points.shape[1] == 0:
        # grid_sample takes no empty batch; the sum keeps the graph.
        empty = maps.new_zeros((maps.shape[0], maps.shape[1], points.shape[1]))
        return empty + maps.sum() * 0.0
    grid = (2.0 * points - 1.0).to(maps.dtype)[:, :, None]
    sampled = functional.grid_sample(maps, grid, mode=mode, align_corners=False)
    return sampled[..., 0]


def grid_points(side: int, *, device: torch.device) -> Tensor:
    """[side * side, 2] centres of the cells of a grid, row by row."""
    steps = (torch.arange(side, device=device, dtype=torch.float32) + 0.5) / side
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack((x, y), dim=-1).flatten(0, 1)


def region_features(
    features: Mapping[str, Tensor],
    strides: Mapping[str, int],
    rois: Tensor,
    points: Tensor,
    *,
    kind: AnyBoxKind,
) -> Tensor:
    """Feature maps at points of regions, each level read by itself and put side by side.

    Args:
        features: name -> [b, c, h, w].
        strides: name -> stride of the maps to read.
        rois: [n, 1 + k] image index and box; images in ascending order.
        points: [n, p, 2] shares of the sides of the regions.
        kind: of the boxes.
    Returns:
        [n, levels * c, p] float32.
    Empty: n = 0 gives n = 0, still part of the graph of every map.
    """
    places = kind.places(rois[:, 1:], points)
    images = rois[:, 0].long()
    counts = torch.bincount(images, minlength=len(next(iter(features.values())))).tolist()
    found = []
    for name, stride in strides.items():
        maps = features[name].float()
        height, width = maps.shape[-2:]
        size = places.new_tensor([width * stride, height * stride])
        parts = []
        # All points of an image are one row of a grid: its map is not copied for each region.
        for own, in_image in zip(maps[:, None], (places / size).split(counts), strict=True):
            flat = sample_maps(own, in_image.flatten(0, 1)[None])[0]  # [c, regions * p]
            parts.append(flat.unflatten(1, (len(in_image), points.shape[1])).transpose(0, 1))
        found.append(torch.cat(parts))
    return torch.cat(found, dim=1)


class PointPooler(RegionPooler):
    """Final: one bilinear sample in the middle of each cell, of every level that is read.

    Args:
        strides: name of each map to read -> its stride.
        output_side: cells of the result along both sides.
        kind: of the boxes.
    Raises:
        CompositionError: no map to read.
    """

    def __init__(
        self, strides: Mapping[str, int], *, output_side: int, kind: AnyBoxKind = UPRIGHT
    ) -> None:
        super().__init__()
        if not strides:
            raise CompositionError("PointPooler: expected at least one map to read, got none")
        self.strides = dict(strides)
        self.output_side = output_side
        self.kind = kind

    def forward(self, features: Mapping[str, Tensor], rois: Tensor) -> Tensor:
        """See `RegionPooler`; [r, levels * c, output_side, output_side] float32."""
        points = grid_points(self.output_side, device=rois.device).expand(len(rois), -1, 2)
        found = region_features(features, self.strides, rois, points, kind=self.kind)
        return found.reshape(*found.shape[:2], self.output_side, self.output_side)


@torch.no_grad()
def uncertain_points(
    logits: Tensor,
    uncertainty: Callable[[Tensor], Tensor],
    *,
    count: int,
    oversampling: float,
    importance: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Random points to train on, most of them where a coarse prediction is undecided.

    Args:
        logits: [n, c, h, w].
        uncertainty: logits [n, c, p] to [n, p], larger where less is decided. Taken of the
            sampled logits: halfway between two sure cells of opposite sign nothing is decided.
        count: p.
        oversampling: drawn points per point that is kept, at least 1.
        importance: share of the points that are the most uncertain ones drawn; the others are
            drawn from the rest.
        generator: source of randomness on the device; None is torch's global one.
    Returns:
        [n, p, 2].
    Empty: n = 0 gives n = 0.
    """
    drawn = int(count * oversampling)
    points = torch.rand(
        (len(logits), drawn, 2), device=logits.device, dtype=torch.float32, generator=generator
    )
    order = uncertainty(sample_maps(logits.float(), points)).argsort(dim=1, descending=True)
    certain = int(importance * count)
    rest = torch.randperm(drawn - certain, device=logits.device, generator=generator)
    chosen = torch.cat((order[:, :certain], order[:, certain + rest[: count - certain]]), dim=1)
    return points.gather(1, chosen[..., None].expand(-1, -1, 2))


def uncertain_cells(uncertainty: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The cells of a grid where least is decided.

    Args:
        uncertainty: [n, h, w].
        count: of cells, all of them if there are fewer.
    Returns:
        [n, p] int64 indices row * w + column, and [n, p, 2] their centres.
    Empty: n = 0 gives n = 0.
    """
    height, width = uncertainty.shape[1:]
    cells = uncertainty.flatten(1).topk(min(count, height * width), dim=1).indices
    x = (cells % width + 0.5) / width
    y = (torch.div(cells, width, rounding_mode="floor") + 0.5) / height
    return cells, torch.stack((x, y), dim=-1)


@torch.no_grad()
def mask_values(
    masks: Sequence[Masks | None],
    indices: Tensor,
    rois: Tensor,
    points: Tensor,
    *,
    kind: AnyBoxKind,
) -> Tensor:
    """Ground-truth masks at points of regions, bilinear between the centres of pixels.

    Args:
        masks: of each image; None for one without objects.
        indices: [n] row of each region's mask in its image.
        rois: [n, 1 + k] image index and box; images in ascending order.
        points: [n, p, 2] shares of the sides of the regions.
        kind: of the boxes.
    Returns:
        [n, p] float32 in [0, 1].
    Empty: n = 0 gives n = 0.
    """
    values = torch.zeros(points.shape[:2], device=rois.device)
    places = kind.places(rois[:, 1:], points)
    images = rois[:, 0].long()
    for i, own in enumerate(masks):
        rows = torch.nonzero(images == i).flatten()
        if len(rows) == 0 or own is None:
            continue
        wanted, of_region = indices[rows].unique(return_inverse=True)
        bits = own[wanted.to(own.device)].to_bit_masks().data.to(rois.device)
        values[rows] = _between_pixels(bits, of_region, places[rows])
    return values


def _between_pixels(bits: Tensor, row: Tensor, places: Tensor) -> Tensor:
    """[n, p] values of [g, h, w] bools at places [n, p, 2] in pixels of the masks `row` [n]."""
    _, height, width = bits.shape
    corner = (places - 0.5).floor()
    part = places - 0.5 - corner
    result = torch.zeros(places.shape[:2], device=places.device)
    for right in (0, 1):
        for down in (0, 1):
            x, y = corner[..., 0] + right, corner[..., 1] + down
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)  # False for NaN
            columns = torch.where(inside, x, 0).long()
            lines = torch.where(inside, y, 0).long()
            weight = (part[..., 0] if right else 1 - part[..., 0]) * (
                part[..., 1] if down else 1 - part[..., 1]
            )
            found = bits[row[:, None], lines, columns] & inside
            result += torch.where(found, weight, 0.0)
    return result
