"""Soft masks in rotated boxes: pasting, moving with the image, and crops for training."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet import (
    BitMasks,
    Boxes,
    DtypeError,
    ImageSize,
    InvalidValueError,
    Masks,
    PolygonMasks,
    RoiMasks,
    RotatedBoxes,
    ops,
)
from geodet import testing as gt

SIZE = ImageSize(9, 14)


def soft_values(masks):
    """Pasted probabilities [n, h, w] in double."""
    return ops.paste_rotated_mask_probabilities(
        masks.probabilities.double(), masks.roi_boxes.cxcywha.double(), masks.image_size.as_tuple()
    )


def decided(masks):
    """[n, h, w] bool, False where rounding alone may decide."""
    return (soft_values(masks) - 0.5).abs() > 1e-4


@given(gt.roi_masks(image_size=SIZE, rotated=True))
def test_pixels_and_runs_are_those_of_the_operator(masks):
    """Every quantity of pixels comes from the same pasted pixels."""
    assert isinstance(masks, Masks)
    bits = masks.to_bit_masks()
    sure = decided(masks)
    assert torch.equal(bits.data[sure], (soft_values(masks) >= 0.5)[sure])
    assert masks.to_rle_masks().equal(bits.to_rle_masks())
    assert torch.equal(masks.area(), bits.area())
    assert masks.boxes().equal(bits.boxes())
    assert torch.equal(masks.nonempty(), bits.nonempty())
    assert masks.to_polygon_masks().to_bit_masks().equal(bits)
    assert masks.to_rotated_boxes().equal(bits.to_rotated_boxes())
    assert torch.equal(
        masks.pairwise_iou(masks), bits.to_rle_masks().pairwise_iou(bits.to_rle_masks())
    )


@given(gt.roi_masks(image_size=SIZE))
def test_horizontal_boxes_written_as_rotated_ones_paint_the_same(masks):
    """A rotated box of angle 0 is the horizontal one, but for ties."""
    turned = RoiMasks(masks.probabilities, RotatedBoxes.from_boxes(masks.roi_boxes), SIZE)
    sure = decided(turned)
    assert torch.equal(turned.to_bit_masks().data[sure], masks.to_bit_masks().data[sure])


@given(gt.roi_masks(image_size=SIZE, rotated=True), st.integers(-5, 5))
def test_mirrors_and_quarter_turns_go_with_the_image(masks, turns):
    """Moving the soft masks, then pasting, is the other way round but for ties."""
    bits, sure = masks.to_bit_masks(), BitMasks(decided(masks))
    for move in (
        lambda table: table.flip_horizontally(),
        lambda table: table.flip_vertically(),
        lambda table: table.rotate_90(turns),
    ):
        moved = move(masks).to_bit_masks()
        assert moved.image_size == move(bits).image_size
        kept = move(sure).data
        assert torch.equal(moved.data[kept], move(bits).data[kept])


@given(gt.roi_masks(image_size=SIZE, rotated=True), st.data())
def test_windows_and_borders_move_the_soft_masks(masks, data):
    """Cropping or padding, then pasting, is the other way round but for ties."""
    x1, y1 = data.draw(st.integers(0, 13)), data.draw(st.integers(0, 8))
    window = (x1, y1, data.draw(st.integers(x1 + 1, 14)), data.draw(st.integers(y1 + 1, 9)))
    bits, sure = masks.to_bit_masks(), BitMasks(decided(masks))
    kept = sure.crop(window).data
    cropped = masks.crop(window).to_bit_masks()
    assert torch.equal(cropped.data[kept], bits.crop(window).data[kept])
    inside = masks.pad(3, 1, 2, 4).to_bit_masks().data[:, 1:10, 3:17]
    assert torch.equal(inside[sure.data], bits.data[sure.data])


@given(gt.roi_masks(image_size=SIZE, rotated=True))
def test_even_resizing_keeps_the_grids(masks):
    """Scaling both axes alike moves the boxes and nothing else; so it is exact."""
    resized = masks.resize(ImageSize(18, 28))
    assert torch.equal(resized.probabilities, masks.probabilities)
    assert resized.roi_boxes.equal(masks.roi_boxes.scale(2, 2))


@pytest.mark.parametrize("angle_deg", [0.0, 90.0, 33.0, 200.0])
@pytest.mark.parametrize("scale", [(2.0, 1.0), (0.75, 1.5)])
def test_uneven_resizing_stretches_what_is_painted(angle_deg, scale):
    """The pasted mask is the stretched one: pixels differ along its border alone."""
    size = ImageSize(80, 100)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 28), torch.linspace(-1, 1, 28), indexing="ij")
    grids = torch.stack([(x * x + y * y < 0.8).float(), ((x > 0) | (y > 0)).float()])
    boxes = RotatedBoxes(torch.tensor([[48.0, 42.0, 50.0, 24.0, angle_deg]]).expand(2, 5))
    masks = RoiMasks(grids, boxes, size)
    resized = masks.resize(ImageSize(round(80 * scale[1]), round(100 * scale[0])))
    expected = masks.to_polygon_masks().resize(resized.image_size).to_bit_masks()
    overlap = resized.to_bit_masks().to_rle_masks().pairwise_iou(expected.to_rle_masks()).diagonal()
    assert (overlap > 0.94).all(), overlap
    # the new boxes hold the stretched ones
    corners = boxes.corners() * torch.tensor(scale)
    grown = resized.roi_boxes.cxcywha + torch.tensor([0, 0, 1e-3, 1e-3, 0])
    for row in range(2):
        assert RotatedBoxes(grown)[row].contains(corners[row]).all()


def test_uneven_resizing_at_quarter_turns_is_exact():
    """A box of a quarter turn stays a box: the grid is resampled at its own cells."""
    generator = torch.Generator().manual_seed(0)
    grids = torch.rand(4, 7, 7, generator=generator)
    boxes = torch.tensor([[6.0, 4.0, 5.0, 3.0, angle] for angle in (0.0, 90.0, 180.0, -90.0)])
    resized = RoiMasks(grids, RotatedBoxes(boxes), SIZE).resize(ImageSize(18, 14))
    torch.testing.assert_close(resized.probabilities, grids, rtol=0, atol=1e-5)
    sides = torch.tensor([[5.0, 6.0], [10.0, 3.0], [5.0, 6.0], [10.0, 3.0]])
    torch.testing.assert_close(resized.roi_boxes.cxcywha[:, 2:4], sides)


def random_rotated(count, size, seed):
    """Rotated boxes that mostly lie in an image."""
    generator = torch.Generator().manual_seed(seed)
    extent = torch.tensor([size.width, size.height])
    centers = torch.rand(count, 2, generator=generator) * extent
    sides = (torch.rand(count, 2, generator=generator) * 0.6 + 0.1) * extent
    return RotatedBoxes(
        torch.cat([centers, sides, torch.rand(count, 1, generator=generator) * 720 - 360], dim=1)
    )


def blobs(size, count):
    """Ellipses and triangles as polygons."""
    steps = torch.linspace(0, 2 * np.pi, 60)[:-1]
    rings = []
    for row in range(count):
        x = size.width * (0.5 + (0.2 + 0.02 * row) * torch.cos(steps)) + row
        y = size.height * (0.5 + 0.3 * torch.sin(steps + 0.1 * row)) - row
        rings.append([torch.stack((x, y), dim=1).flatten().tolist()])
    return PolygonMasks.from_coco(rings, size)


@pytest.mark.parametrize("kind", ["bits", "runs", "soft", "outlines"])
def test_crops_in_rotated_boxes_are_samples_of_the_mask(kind):
    """Each cell says what the mask says around its centre, in the box's own axes."""
    size = ImageSize(120, 160)
    outlines, boxes, side = blobs(size, 6), random_rotated(6, size, 1), 28
    bits = outlines.to_bit_masks()
    masks = {
        "bits": bits,
        "runs": bits.to_rle_masks(),
        "outlines": outlines,
        "soft": RoiMasks(bits.crop_and_resize(bits.boxes(), 112).float(), bits.boxes(), size),
    }[kind]
    crops = masks.crop_and_resize(boxes, side)
    assert crops.dtype == torch.bool
    assert crops.shape == (6, side, side)
    # an independent sampler: the pixel under the centre of each cell
    cx, cy, w, h, angle = boxes.cxcywha.double().numpy().T
    steps = (np.arange(side) + 0.5) / side - 0.5
    agreed = []
    for row in range(6):
        u, v = np.meshgrid(steps * w[row], steps * h[row])
        turn = np.deg2rad(angle[row])
        x = np.floor(cx[row] + u * np.cos(turn) + v * np.sin(turn)).astype(int)
        y = np.floor(cy[row] - u * np.sin(turn) + v * np.cos(turn)).astype(int)
        inside = (x >= 0) & (y >= 0) & (x < size.width) & (y < size.height)
        under = bits.data[row].numpy()[y.clip(0, 119), x.clip(0, 159)] & inside
        if kind == "outlines":  # outlines go on beyond the image, pixels do not
            agreed.append((crops[row].numpy() == under)[inside].mean())
        else:
            agreed.append((crops[row].numpy() == under).mean())
    assert min(agreed) > 0.93, agreed


@pytest.mark.parametrize("kind", ["bits", "runs", "outlines"])
def test_crops_at_angle_zero_are_the_upright_ones(kind):
    """A rotated box of angle 0 gives the targets of the horizontal one, but for ties."""
    size = ImageSize(60, 80)
    masks = blobs(size, 4)
    masks = {"bits": masks.to_bit_masks(), "runs": masks.to_rle_masks(), "outlines": masks}[kind]
    upright = masks.boxes()
    turned = masks.crop_and_resize(RotatedBoxes.from_boxes(upright), 28)
    assert (turned == masks.crop_and_resize(upright, 28)).double().mean() > 0.998


def test_cropping_what_was_pasted_gives_the_mask_back():
    """Paste into rotated boxes, crop from the pixels: the grid returns but for its border."""
    size = ImageSize(200, 200)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 28), torch.linspace(-1, 1, 28), indexing="ij")
    grid = ((x * x + y * y < 0.8) & (y > -0.5 * x)).float()
    boxes = torch.tensor([[100.0, 100.0, 90.0, 60.0, angle] for angle in range(-180, 180, 25)])
    soft = RoiMasks(grid.expand(len(boxes), 28, 28), RotatedBoxes(boxes), size)
    for masks in (soft, soft.to_bit_masks(), soft.to_rle_masks(), soft.to_polygon_masks()):
        back = masks.crop_and_resize(soft.roi_boxes, 28)
        assert (back == (grid >= 0.5)).double().mean(dim=(1, 2)).min() > 0.96


def test_empty_masks_keep_their_kind():
    """No mask in no rotated box is a normal table."""
    none = RoiMasks.empty(SIZE, side=7, rotated=True)
    assert isinstance(none.roi_boxes, RotatedBoxes)
    assert none.to_bit_masks().equal(BitMasks.empty(SIZE))
    assert len(none.to_rle_masks()) == 0
    assert len(none.resize(ImageSize(18, 14))) == 0
    for masks in (none, BitMasks.empty(SIZE), none.to_rle_masks(), PolygonMasks.empty(SIZE)):
        assert masks.crop_and_resize(RotatedBoxes.empty(), 3).shape == (0, 3, 3)


def test_kinds_of_boxes_do_not_mix():
    """Tables of horizontal and of rotated boxes are not joined; wrong values are named."""
    horizontal = RoiMasks.empty(SIZE, side=3)
    with pytest.raises(DtypeError):
        RoiMasks.cat([horizontal, RoiMasks.empty(SIZE, side=3, rotated=True)])
    with pytest.raises(DtypeError, match="expected Boxes or RotatedBoxes, got Tensor"):
        RoiMasks(torch.zeros(1, 2, 2), torch.zeros(1, 5), SIZE)
    broken = RotatedBoxes(torch.tensor([[0.0, 0.0, -1.0, 2.0, 0.0]]))
    with pytest.raises(InvalidValueError, match="boxes row 0"):
        RoiMasks(torch.zeros(1, 2, 2), broken, SIZE).validated()
    joined = RoiMasks.cat(
        [RoiMasks.empty(SIZE, side=2), RoiMasks(torch.ones(1, 2, 2), Boxes(torch.ones(1, 4)), SIZE)]
    )
    assert len(joined) == 1
