"""What bit masks and run-length masks say about shapes: both kinds, and their laws."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from geodet import (
    BitMasks,
    DtypeError,
    HardMasks,
    ImageSize,
    InvalidValueError,
    RleMasks,
    ShapeError,
    ops,
)
from geodet import testing as gt

SIZE = ImageSize(7, 9)
KINDS = {"bits": lambda masks: masks, "runs": BitMasks.to_rle_masks}
both_kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@st.composite
def mask_pairs(draw):
    """Two tables of one image size and one number of rows."""
    rows = draw(st.integers(0, 3))
    one = gt.bit_masks(image_size=SIZE, min_rows=rows, max_rows=rows)
    return draw(one), draw(one)


def pixels(masks):
    """Bits as a NumPy array, whatever the kind."""
    return masks.to_bit_masks().data.numpy()


def drawn(*rows):
    """One mask from lines of text."""
    return BitMasks(torch.tensor([[[c == "#" for c in row] for row in rows]]))


@both_kinds
def test_both_kinds_meet_the_protocol(kind):
    """Bit masks and run-length masks are hard masks."""
    assert isinstance(kind(BitMasks.empty(SIZE)), HardMasks)


@both_kinds
@given(pair=mask_pairs())
def test_set_operations_are_pixelwise(kind, pair):
    """Row by row or, and, and not; the kind stays."""
    a, b = (kind(masks) for masks in pair)
    x, y = (pixels(masks) for masks in pair)
    for result, expected in (
        (a.union(b), x | y),
        (a.intersection(b), x & y),
        (a.difference(b), x & ~y),
        (a.complement(), ~x),
    ):
        assert type(result) is type(a)
        assert np.array_equal(pixels(result), expected)


@both_kinds
@given(pair=mask_pairs())
def test_de_morgan_holds_for_masks(kind, pair):
    """What is in neither is the complement of the union, and so with both swapped."""
    a, b = (kind(masks) for masks in pair)
    assert a.union(b).complement().equal(a.complement().intersection(b.complement()))
    assert a.intersection(b).complement().equal(a.complement().union(b.complement()))


@given(pair=mask_pairs())
def test_overlaps_agree_between_kinds(pair):
    """IoU and IoA of pixels and of runs are the same bits; IoA divides by the second area."""
    a, b = pair
    runs = a.to_rle_masks(), b.to_rle_masks()
    assert torch.equal(a.pairwise_iou(b), runs[0].pairwise_iou(runs[1]))
    assert torch.equal(a.pairwise_ioa(b), runs[0].pairwise_ioa(runs[1]))
    areas = b.area().double()
    common = [[int((x & y).sum()) for y in b.data] for x in a.data]
    expected = torch.tensor(common, dtype=torch.float64).view(len(a), len(b)) / areas.clamp(min=1)
    assert torch.equal(a.pairwise_ioa(b), expected)


@both_kinds
@given(masks=gt.bit_masks())
def test_outlines_and_back_is_the_identity_of_masks(kind, masks):
    """Masks to polygons to masks loses nothing; areas agree, and holes and parts are kept."""
    masks = kind(masks)
    outlines = masks.contours().validated()
    assert outlines.equal(masks.to_polygon_masks())
    assert outlines.to_rle_masks().equal(masks.to_rle_masks())
    assert outlines.to_bit_masks().equal(masks.to_bit_masks())
    assert torch.equal(outlines.area(), masks.area().double())
    assert outlines.boxes().equal(masks.boxes())
    assert outlines.to_rle_masks().contours().equal(outlines)


def test_contours_keep_holes_and_parts():
    """A frame with a dot inside of it is two parts, one with a hole."""
    masks = drawn("#####", "#...#", "#.#.#", "#...#", "#####")
    assert masks.contours().to_rings() == [
        [
            [[(0, 0), (5, 0), (5, 5), (0, 5)], [(1, 1), (1, 4), (4, 4), (4, 1)]],
            [[(2, 2), (3, 2), (3, 3), (2, 3)]],
        ]
    ]


@both_kinds
@given(masks=gt.bit_masks(), connectivity=st.sampled_from([4, 8]))
def test_pieces_partition_their_masks(kind, masks, connectivity):
    """No piece is empty, none overlap, and the pieces of a row are its mask."""
    masks = kind(masks)
    pieces, origins = masks.connected_components(connectivity=connectivity)
    assert type(pieces) is type(masks)
    assert bool(pieces.nonempty().all())
    sums = np.zeros(pixels(masks).shape, dtype=int)
    np.add.at(sums, origins.numpy(), pixels(pieces))
    assert np.array_equal(sums, pixels(masks))
    again, once = pieces.connected_components(connectivity=connectivity)
    assert again.equal(pieces)
    assert once.tolist() == list(range(len(pieces)))


@given(masks=gt.bit_masks(), connectivity=st.sampled_from([4, 8]))
def test_pieces_agree_between_kinds(masks, connectivity):
    """Pixels and runs give the same pieces in the same order."""
    bits, rows = masks.connected_components(connectivity=connectivity)
    runs, origins = masks.to_rle_masks().connected_components(connectivity=connectivity)
    assert bits.to_rle_masks().equal(runs)
    assert torch.equal(rows, origins)


@both_kinds
@given(masks=gt.bit_masks(), quarters=st.integers(-5, 5))
def test_turns_are_those_of_numpy_and_compose(kind, masks, quarters):
    """rot90 counter-clockwise; four quarters are none, two are both mirrors, one changes sides."""
    masks = kind(masks)
    turned = masks.rotate_90(quarters)
    assert np.array_equal(pixels(turned), np.rot90(pixels(masks), quarters, (1, 2)))
    assert turned.rotate_90(-quarters).equal(masks)
    assert turned.rotate_90(4 - quarters % 4).equal(masks)
    both = masks.flip_horizontally().flip_vertically()
    assert masks.rotate_90(2).equal(both)
    assert masks.flip_horizontally().rotate_90().equal(masks.rotate_90(-1).flip_horizontally())


@both_kinds
@given(masks=gt.bit_masks(), padding=st.tuples(*[st.integers(0, 3)] * 4))
def test_cropping_undoes_padding(kind, masks, padding):
    """Padding adds empty pixels around; the window of the old image gives the masks back."""
    masks = kind(masks)
    left, top, _, _ = padding
    height, width = masks.image_size
    padded = masks.pad(*padding)
    assert np.array_equal(padded.area(), masks.area())
    assert padded.crop((left, top, left + width, top + height)).equal(masks)


@given(masks=gt.bit_masks(), radius=st.integers(0, 4), data=st.data())
def test_growing_and_shrinking_agree_between_kinds(masks, radius, data):
    """Pixels and runs give the same masks; growing the rest of a larger image is shrinking."""
    neighbourhood = data.draw(st.sampled_from(["square", "diamond", "disk"]))
    runs = masks.to_rle_masks()
    grown, shrunk = masks.dilate(radius, neighbourhood), masks.erode(radius, neighbourhood)
    assert runs.dilate(radius, neighbourhood).equal(grown.to_rle_masks())
    assert runs.erode(radius, neighbourhood).equal(shrunk.to_rle_masks())
    assert runs.boundary(radius).equal(masks.boundary(radius).to_rle_masks())
    assert masks.boundary(radius).union(masks.erode(radius)).equal(masks)
    height, width = masks.image_size
    rest = runs.pad(*[radius] * 4).complement().dilate(radius, neighbourhood).complement()
    assert rest.crop((radius, radius, radius + width, radius + height)).equal(shrunk.to_rle_masks())


@both_kinds
def test_boundary_iou_sees_what_iou_does_not(kind):
    """A large square moved by a pixel: IoU stays high, boundary IoU falls."""
    data = torch.zeros(2, 60, 60, dtype=torch.bool)
    data[0, 10:50, 10:50] = True
    data[1, 11:51, 10:50] = True
    masks = kind(BitMasks(data))
    radius = ops.boundary_radius(masks.image_size.as_tuple())
    assert radius == 2
    iou = masks.pairwise_iou(masks)[0, 1]
    # Two frames 2 pixels wide of 40 x 40 pixels, one row apart.
    common = 304 - 2 * 40 - 0
    boundary = masks.boundary(radius)
    assert boundary.area().tolist() == [304, 304]
    overlap = boundary.pairwise_iou(boundary)[0, 1]
    assert float(iou) == 39 * 40 / (41 * 40)
    assert 0.4 < float(overlap) < common / 304 < float(iou)


@both_kinds
@given(masks=gt.bit_masks())
def test_rotated_boxes_contain_the_pixels_in_the_smallest_area(kind, masks):
    """No more area than the tight box and shapely's own; an empty mask gives zeros."""
    shapely = pytest.importorskip("shapely")
    boxes = kind(masks).to_rotated_boxes()
    assert len(boxes) == len(masks)
    for row, mask in enumerate(masks.data.numpy()):
        if not mask.any():
            assert boxes.cxcywha[row].tolist() == [0.0] * 5
            continue
        squares = [shapely.box(x, y, x + 1, y + 1) for y, x in zip(*np.nonzero(mask), strict=True)]
        region = shapely.union_all(squares)
        best = shapely.minimum_rotated_rectangle(region).area
        ours = shapely.Polygon(boxes[row].to(dtype=torch.float64).corners()[0].tolist())
        assert ours.area == pytest.approx(best, rel=1e-5)  # float32 sides
        assert ours.buffer(1e-4).contains(region)


@both_kinds
def test_no_masks_go_through_every_method(kind):
    """Nothing in, nothing out, with the size that a mask would have."""
    none = kind(BitMasks.empty(SIZE))
    for same in (
        none.union(none),
        none.intersection(none),
        none.difference(none),
        none.complement(),
        none.dilate(2),
        none.erode(2),
        none.boundary(2),
        none.connected_components()[0],
    ):
        assert same.equal(none)
    assert none.nonempty().shape == (0,)
    assert none.nonempty().dtype == torch.bool
    assert none.crop((1, 2, 4, 3)).image_size == ImageSize(1, 3)
    assert none.pad(1, 2, 3, 4).image_size == ImageSize(13, 13)
    assert none.rotate_90().image_size == ImageSize(9, 7)
    assert none.contours().equal(none.to_polygon_masks())
    assert len(none.to_rotated_boxes()) == 0
    assert none.pairwise_iou(none).shape == (0, 0)
    assert none.pairwise_ioa(none).shape == (0, 0)


@both_kinds
def test_wrong_arguments_are_refused_by_both_kinds(kind):
    """Other kinds, sizes, numbers of rows, windows outside and negative paddings."""
    one, other = kind(BitMasks.empty(SIZE)), kind(BitMasks.empty(ImageSize(5, 5)))
    wrong = BitMasks.empty(SIZE) if isinstance(one, RleMasks) else RleMasks.empty(SIZE)
    more = kind(BitMasks(torch.ones(1, 7, 9, dtype=torch.bool)))
    for method in ("union", "intersection", "difference", "pairwise_iou", "pairwise_ioa"):
        with pytest.raises(DtypeError, match=f"other: expected {type(one).__name__}, got"):
            getattr(one, method)(wrong)
        with pytest.raises(ShapeError, match=r"other: expected masks of ImageSize"):
            getattr(one, method)(other)
        if not method.startswith("pairwise"):
            with pytest.raises(ShapeError, match="other: expected 0 rows"):
                getattr(one, method)(more)
    with pytest.raises(InvalidValueError, match="xyxy: expected a window inside 9 x 7"):
        one.crop((0, 0, 10, 7))
    with pytest.raises(InvalidValueError, match="pad: expected left, top, right, bottom"):
        one.pad(0, 0, -1, 0)
    with pytest.raises(InvalidValueError, match="radius"):
        one.dilate(-1)
    with pytest.raises(InvalidValueError, match="connectivity"):
        one.connected_components(connectivity=5)


@pytest.mark.cuda
def test_bit_masks_work_where_they_are(cuda):
    """Results stay on the GPU and equal those of the CPU."""
    generator = torch.Generator().manual_seed(0)
    here = BitMasks(torch.rand(3, 40, 50, generator=generator) < 0.6)
    there = here.to(cuda)
    for method in (
        lambda m: m.union(m.flip_vertically()),
        lambda m: m.rotate_90(),
        lambda m: m.pad(1, 2, 3, 4),
        lambda m: m.crop((3, 4, 20, 30)),
        lambda m: m.boundary(2),
        lambda m: m.dilate(3, "disk"),
        lambda m: m.connected_components()[0],
    ):
        assert method(there).device.type == "cuda"
        assert method(there).to("cpu").equal(method(here))
    assert torch.equal(there.pairwise_ioa(there).cpu(), here.pairwise_ioa(here))
    assert there.to_rotated_boxes().device.type == "cuda"
    assert there.contours().equal(here.contours())
