"""What both kinds of boxes do alike, against shapely, NumPy and each other."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings

from geodet import Boxes, DtypeError, ImageSize, Region, RotatedBoxes, ShapeError
from geodet import testing as gt

SIZE = ImageSize(9, 14)
ATOL = 1e-4  # single precision at some tens of pixels, through cosines

KINDS = {"boxes": gt.boxes, "rotated_boxes": gt.rotated_boxes}
on_every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
on_both_precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
# For tests that call shapely or every method on each example: a quarter of the usual number.
fewer = settings(max_examples=settings().max_examples // 4)
MEASURES = ("intersection", "iou", "ioa", "giou", "diou", "distance")


def polygons(regions):
    """Shapely polygons, turned by shapely; some without area."""
    shapely = pytest.importorskip("shapely")
    from shapely import affinity

    rows = regions.to_rotated().cxcywha.double().tolist()
    return [
        affinity.rotate(
            shapely.box(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), -angle, origin=(cx, cy)
        )
        for cx, cy, w, h, angle in rows
    ]


def window():
    """The image as a shapely polygon."""
    return pytest.importorskip("shapely").box(0, 0, SIZE.width, SIZE.height)


def pairs_of(data, kind, dtype=torch.float64, **options):
    """Two tables in one image."""
    strategy = kind(image_size=SIZE, dtype=dtype, max_rows=4, **options)
    return data.draw(strategy), data.draw(strategy)


@on_every_kind
@fewer
@given(data=st.data())
def test_sizes_areas_and_corners_fit(kind, data):
    """Area is width times height; corners run clockwise as seen and span the sides."""
    regions = data.draw(kind(dtype=torch.float64))
    assert isinstance(regions, Region)
    assert torch.equal(regions.area(), regions.widths() * regions.heights())
    corners = regions.corners()
    torch.testing.assert_close((corners[:, 1] - corners[:, 0]).norm(dim=1), regions.widths())
    torch.testing.assert_close((corners[:, 2] - corners[:, 1]).norm(dim=1), regions.heights())
    torch.testing.assert_close(corners.mean(1), regions.centers())
    x, y = corners.unbind(2)
    shoelace = (x * y.roll(-1, 1) - y * x.roll(-1, 1)).sum(1) / 2
    torch.testing.assert_close(shoelace, regions.area(), rtol=1e-9, atol=1e-9)


@on_every_kind
@fewer
@given(data=st.data(), dx=st.integers(-10, 10), dy=st.integers(-10, 10))
def test_area_inside_agrees_with_shapely(kind, data, dx, dy):
    """What lies inside an image is cut exactly at its border."""
    regions = data.draw(kind(image_size=SIZE, dtype=torch.float64)).translate(dx, dy)
    expected = [polygon.intersection(window()).area for polygon in polygons(regions)]
    assert regions.area_inside(SIZE).tolist() == pytest.approx(expected, abs=1e-9)


@on_both_precisions
@fewer
@given(data=st.data(), dx=st.integers(-10, 10), dy=st.integers(-10, 10))
def test_clipped_rotated_boxes_are_the_smallest_around_what_is_inside(dtype, data, dx, dy):
    """They keep the angle, cover what is inside and no side can move further in."""
    from shapely import affinity

    regions = data.draw(gt.rotated_boxes(image_size=SIZE, dtype=dtype, degenerate=False))
    regions = regions.translate(dx, dy)
    clipped = regions.clip_to(SIZE)
    assert torch.equal(clipped.angles_deg(), regions.angles_deg())
    for before, after, row in zip(polygons(regions), clipped, range(len(clipped)), strict=True):
        visible = before.intersection(window())
        if visible.area < 1e-3:
            continue
        angle = after.angles_deg().item()
        upright = affinity.rotate(visible, angle, origin=(0, 0))
        x1, y1, x2, y2 = upright.bounds
        assert after.widths().item() == pytest.approx(x2 - x1, abs=10 * ATOL), row
        assert after.heights().item() == pytest.approx(y2 - y1, abs=10 * ATOL), row
        assert visible.difference(polygons(after)[0].buffer(10 * ATOL)).area == 0


@on_every_kind
@fewer
@given(data=st.data(), dx=st.integers(-20, 20), dy=st.integers(-20, 20))
@example(data=None, dx=0, dy=0)
def test_clipping_leaves_what_is_inside(kind, data, dx, dy):
    """What is inside stays bit for bit, clipping twice is clipping once, and areas inside stay."""
    if data is None:  # a box without height across the border
        regions = RotatedBoxes(torch.tensor([[0.0, 4, 6, 0, 30], [40, 40, 2, 2, 10]]))
    else:
        regions = data.draw(kind(image_size=SIZE)).translate(dx, dy)
    clipped = regions.clip_to(SIZE)
    inside = regions.inside(SIZE)
    assert clipped[inside].equal(regions[inside])
    again = clipped.clip_to(SIZE)
    assert again.same_region(clipped, atol=10 * ATOL).all()
    torch.testing.assert_close(
        clipped.area_inside(SIZE), regions.area_inside(SIZE), rtol=1e-4, atol=1e-2
    )
    assert (clipped.area() <= regions.area() + ATOL).all()
    # A centre never leaves the image.
    x, y = clipped.centers().unbind(1)
    assert ((x >= 0) & (x <= SIZE.width) & (y >= 0) & (y <= SIZE.height)).all()


@on_every_kind
@fewer
@given(data=st.data(), margin=st.integers(0, 3))
def test_inside_agrees_with_shapely(kind, data, margin):
    """A region is inside where the image, grown by the margin, covers it."""
    regions = data.draw(kind(image_size=SIZE, dtype=torch.float64))
    grown = window().buffer(margin, join_style="mitre")
    inside = regions.inside(SIZE, margin)
    for polygon, ours in zip(polygons(regions), inside.tolist(), strict=True):
        # Shapely and we may round a touching corner to different sides.
        if grown.boundary.distance(polygon) > 1e-9 or not polygon.intersects(grown.boundary):
            assert ours == grown.covers(polygon)


@on_every_kind
@fewer
@given(data=st.data())
def test_contained_points_agree_with_shapely(kind, data):
    """Points away from the border are inside exactly where shapely says so."""
    shapely = pytest.importorskip("shapely")
    regions = data.draw(kind(image_size=SIZE, dtype=torch.float64))
    points = torch.rand(40, 2, generator=torch.Generator().manual_seed(0)).double() * 14
    places = shapely.points(points.numpy())
    inside = regions.contains(points)
    assert inside.shape == (len(regions), 40)
    for polygon, row in zip(polygons(regions), inside, strict=True):
        clear = shapely.distance(polygon.boundary, places) > 1e-9
        assert (shapely.contains(polygon, places) == row.numpy())[clear].all()


@given(boxes=gt.boxes(min_rows=1))
def test_points_on_shared_sides_belong_to_one_box(boxes):
    """Boxes are half-open: the left and top sides belong, at angle 0 for both kinds."""
    x1, y1, x2, y2 = boxes[0].xyxy[0].tolist()
    points = torch.tensor([[x1, y1], [x2, y2], [x1, y2], [x2, y1]])
    sided = bool(boxes[0].nonempty())
    for regions in (boxes[0], boxes[0].to_rotated()):
        assert regions.contains(points).tolist() == [[sided, False, False, False]]


@on_every_kind
@fewer
@given(data=st.data())
def test_containment_of_regions_agrees_with_shapely(kind, data):
    """A region contains itself; others where shapely's polygon covers theirs, by a margin."""
    a = data.draw(kind(image_size=SIZE, dtype=torch.float64, max_rows=4, degenerate=False))
    b = data.draw(kind(image_size=SIZE, dtype=torch.float64, max_rows=4))
    contains = a.contains_region(b)
    assert a.contains_region(a).diagonal().all()
    for p, row in zip(polygons(a), contains, strict=True):
        for q, ours in zip(polygons(b), row.tolist(), strict=True):
            if ours:
                assert p.buffer(1e-6, join_style="mitre").covers(q)
            else:
                assert not p.buffer(-1e-6, join_style="mitre").contains(q) or q.area == 0
    # The two kinds mix: what is compared is the points.
    assert torch.equal(
        a.to_rotated().contains_region(b), a.to_rotated().contains_region(b.to_rotated())
    )
    assert torch.equal(a.hull().contains_region(b), a.hull().contains_region(b.hull()))


@given(boxes=gt.rotated_boxes(), turns=st.integers(-3, 3))
def test_region_repeats_at_180_and_orientation_at_360(boxes, turns):
    """Half turns and quarter turns with exchanged sides keep the region, full ones also the top."""
    table = boxes.cxcywha
    half = RotatedBoxes(table + table.new_tensor([0, 0, 0, 0, 180 * turns]))
    full = RotatedBoxes(table + table.new_tensor([0, 0, 0, 0, 360 * turns]))
    swapped = table[:, [0, 1, 3, 2, 4]] + table.new_tensor([0, 0, 0, 0, 90 + 180 * turns])
    quarter = RotatedBoxes(swapped)
    for other in (half, full, quarter):
        assert boxes.same_region(other).all()
    assert boxes.same_orientation(full).all()
    assert (boxes.same_orientation(half) == (turns % 2 == 0)).all()
    assert not boxes.same_orientation(quarter).any()


@on_every_kind
@given(data=st.data(), step=st.sampled_from([0, 1, 2, 3]))
def test_another_region_is_not_the_same(kind, data, step):
    """Moving by more than the tolerance is seen, by less is not; NaN equals nothing."""
    regions = data.draw(kind(min_rows=1))
    dx, dy = ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01))[step]
    moved = regions.translate(dx, dy)
    assert not regions.same_region(moved).any()
    assert regions.same_region(moved, atol=0.011).all()
    broken = regions.scale(float("nan"), float("nan"))
    assert not broken.same_region(broken).any()
    with pytest.raises(ShapeError, match="other: expected"):
        regions.same_region(regions[:0])


@on_every_kind
@fewer
@given(data=st.data(), angle=st.integers(-400, 400), x=st.integers(-9, 9), y=st.integers(-9, 9))
def test_turning_agrees_with_shapely(kind, data, angle, x, y):
    """A turned region covers the turned points, and its top turns along."""
    from shapely import affinity

    regions = data.draw(kind(dtype=torch.float64))
    turned = regions.rotate(angle, center=(x, y))
    for before, after in zip(polygons(regions), polygons(turned), strict=True):
        expected = affinity.rotate(before, -angle, origin=(x, y))
        assert expected.hausdorff_distance(after) < 1e-9
    torch.testing.assert_close(
        turned.angles_deg() - regions.to_rotated().angles_deg(),
        torch.full((len(regions),), float(angle), dtype=torch.float64),
    )


@on_every_kind
@fewer
@given(data=st.data(), turns=st.integers(-5, 5))
def test_quarter_turns_are_numpys_and_exact(kind, data, turns):
    """Turning with the image moves points as np.rot90 moves pixels; four are none."""
    regions = data.draw(kind(image_size=SIZE))
    turned = regions.rotate_90(turns, SIZE)
    new_size = SIZE if turns % 2 == 0 else ImageSize(SIZE.width, SIZE.height)
    rows, columns = np.mgrid[: SIZE.height, : SIZE.width]
    pixels = np.stack((columns, rows), axis=2) + 0.5  # centres, at their old places
    moved = torch.from_numpy(np.rot90(pixels, turns).reshape(-1, 2).copy()).float()
    rows, columns = np.mgrid[: new_size.height, : new_size.width]
    places = torch.from_numpy(np.stack((columns, rows), axis=2).reshape(-1, 2) + 0.5).float()
    # Corners on a grid of 1/8 meet pixel centres: shrunk boxes decide the same on both sides.
    small = regions.to_rotated().cxcywha - regions.area().new_tensor([0, 0, 0.01, 0.01, 0])
    small = RotatedBoxes(small[regions.nonempty(0.1)])
    turned_small = small.rotate_90(turns, SIZE)
    assert torch.equal(small.contains(moved), turned_small.contains(places))
    back = turned.rotate_90(-turns, new_size)
    assert back.same_region(regions, atol=0 if kind is gt.boxes else ATOL).all()
    assert torch.equal(turned.to_rotated().centers(), turned.centers())


@given(boxes=gt.boxes(image_size=SIZE), turns=st.integers(-5, 5))
def test_quarter_turns_of_both_kinds_agree(boxes, turns):
    """Turned as boxes or as rotated boxes, the points are the same."""
    turned = boxes.rotate_90(turns, SIZE)
    assert boxes.to_rotated().rotate_90(turns, SIZE).same_region(turned.to_rotated()).all()
    assert turned.validated() is turned


@on_every_kind
@pytest.mark.parametrize("measure", MEASURES)
@fewer
@given(data=st.data())
def test_matched_measures_are_the_diagonal_of_pairwise_ones(kind, measure, data):
    """Row by row is the diagonal of all pairs."""
    regions = data.draw(kind(dtype=torch.float64))
    other = regions.translate(0.5, 1.25)[::-1]
    pairs = getattr(regions, f"pairwise_{measure}")(other)
    assert pairs.shape == (len(regions), len(regions))
    rows = getattr(regions, f"matched_{measure}")(other)
    torch.testing.assert_close(rows, pairs.diagonal(), rtol=1e-9, atol=1e-9)


@on_every_kind
@fewer
@given(data=st.data())
def test_measures_agree_with_shapely(kind, data):
    """Intersections, shares, enclosures and gaps are made of shapely's areas and lengths."""
    shapely = pytest.importorskip("shapely")
    a, b = pairs_of(data, kind, degenerate=False)
    p, q = np.array(polygons(a))[:, None], np.array(polygons(b))[None]
    if p.size == 0 or q.size == 0:
        return
    common = shapely.area(shapely.intersection(p, q))
    union = shapely.area(p) + shapely.area(q) - common
    both = shapely.union(p, q)
    hull = shapely.area(shapely.envelope(both) if kind is gt.boxes else shapely.convex_hull(both))
    for measure, expected in (
        ("intersection", common),
        ("iou", common / union),
        ("ioa", common / shapely.area(q)),
        ("giou", common / union - (hull - union) / hull),
        ("distance", shapely.distance(p, q)),
    ):
        ours = getattr(a, f"pairwise_{measure}")(b)
        torch.testing.assert_close(ours, torch.from_numpy(expected), rtol=1e-9, atol=1e-8)


@fewer
@given(data=st.data(), angle=st.integers(-180, 180))
def test_distance_iou_of_rotated_boxes_does_not_see_turns(data, angle):
    """Turning both sides alike changes nothing; the enclosure is their longest line."""
    shapely = pytest.importorskip("shapely")
    a, b = pairs_of(data, gt.rotated_boxes, degenerate=False)
    diou = a.pairwise_diou(b)
    turned = a.rotate(angle, center=(3, 4)).pairwise_diou(b.rotate(angle, center=(3, 4)))
    torch.testing.assert_close(turned, diou, rtol=0, atol=1e-7)
    assert ((diou >= -1) & (diou <= 1)).all()
    assert (diou <= a.pairwise_iou(b)).all()
    for i, j in np.ndindex(*diou.shape):
        points = torch.cat((a.corners()[i], b.corners()[j])).numpy()
        longest = shapely.distance(
            shapely.points(points)[:, None], shapely.points(points)[None]
        ).max()
        apart = (a.centers()[i] - b.centers()[j]).norm().item()
        expected = a.pairwise_iou(b)[i, j].item() - (apart / longest) ** 2
        assert diou[i, j].item() == pytest.approx(expected, abs=1e-9)


def test_measures_of_rotated_boxes_differentiate():
    """IoA and distance IoU have the gradients of their formulas, apart and overlapping."""
    a = RotatedBoxes(torch.tensor([[5.0, 5, 4, 2, 20], [9, 4, 3, 3, 50]]).double())
    table = torch.tensor([[6.0, 5.5, 3, 2, 70], [30, 4, 3, 5, 10]]).double().requires_grad_()

    def diou(table):
        return a.matched_diou(RotatedBoxes(table))

    def ioa(table):
        return a.pairwise_ioa(RotatedBoxes(table))

    assert torch.autograd.gradcheck(diou, (table,))
    assert torch.autograd.gradcheck(ioa, (table,))


def test_clipping_passes_gradients_of_what_it_leaves():
    """Boxes inside have the gradient of themselves, boxes that are cut none."""
    for regions in (Boxes, RotatedBoxes):
        table = torch.tensor([[3.0, 3, 5, 5, 0], [-2, -2, 6, 6, 0]], requires_grad=True)
        clipped = regions(table[:, :4] if regions is Boxes else table).clip_to(SIZE)
        values = clipped.xyxy if regions is Boxes else clipped.cxcywha
        (gradient,) = torch.autograd.grad(values.sum(), table)
        assert gradient[0, :4].tolist() == [1] * 4
        assert gradient[1, :4].tolist() == ([0, 0, 1, 1] if regions is Boxes else [0] * 4)


def test_distance_iou_of_odd_rotated_boxes():
    """A NaN is infinitely far away, a point has 0 with itself, half precision rounds once."""
    boxes = torch.tensor([[5.0, 5, 4, 2, 20], [float("nan"), 5, 4, 2, 20], [5, 5, 0, 0, 0]])
    regions = RotatedBoxes(boxes.requires_grad_())
    diou = regions.pairwise_diou(regions)
    assert diou.diagonal().tolist() == pytest.approx([1, -1, 0], abs=1e-6)
    (gradient,) = torch.autograd.grad(diou.sum(), boxes)
    assert gradient[[0, 2]].isfinite().all()
    half = RotatedBoxes(boxes.detach().half())
    assert half.matched_diou(half).dtype == torch.float16
    assert half[:0].pairwise_diou(half).shape == (0, 3)


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_of_two_kinds_are_refused(measure):
    """Boxes against RotatedBoxes, either way round, is an error that says how to convert."""
    upright = Boxes(torch.tensor([[0.0, 0, 2, 2]]))
    for way in ("pairwise", "matched"):
        with pytest.raises(DtypeError, match=r"expected Boxes, got RotatedBoxes.*to_rotated"):
            getattr(upright, f"{way}_{measure}")(upright.to_rotated())
        with pytest.raises(DtypeError, match=r"expected RotatedBoxes, got Boxes.*to_rotated"):
            getattr(upright.to_rotated(), f"{way}_{measure}")(upright)


@on_every_kind
def test_empty_regions_go_through_every_method(kind):
    """No region is a normal table for every method of the protocol."""
    none = (Boxes if kind is gt.boxes else RotatedBoxes).empty(dtype=torch.float64)
    for numbers in (
        none.area(),
        none.widths(),
        none.heights(),
        none.area_inside(SIZE),
        none.nonempty(),
        none.inside(SIZE),
        none.same_region(none),
        none.same_orientation(none),
    ):
        assert numbers.shape == (0,)
    for same in (
        none.clip_to(SIZE),
        none.scale(2, 3),
        none.translate(1, 1),
        none.rotate_90(1, SIZE),
        none.flip_horizontally(SIZE),
        none.flip_vertically(SIZE),
    ):
        assert same.equal(none)
    assert none.rotate(30, center=(0, 0)).equal(RotatedBoxes.empty(dtype=torch.float64))
    assert none.contains(torch.zeros(5, 2, dtype=torch.float64)).shape == (0, 5)
    assert none.contains_region(none).shape == (0, 0)
    assert none.corners().shape == (0, 4, 2)
    for measure in MEASURES:
        assert getattr(none, f"pairwise_{measure}")(none).shape == (0, 0)
        assert getattr(none, f"matched_{measure}")(none).shape == (0,)


@on_every_kind
@fewer
@given(data=st.data())
def test_no_method_changes_its_receiver(kind, data):
    """Every method of the protocol returns new objects."""
    regions = data.draw(kind(image_size=SIZE))
    other = regions.translate(0.5, 0.5)
    for call in (
        lambda r: r.clip_to(SIZE),
        lambda r: r.rotate(33, center=(1, 2)),
        lambda r: r.rotate_90(1, SIZE),
        lambda r: r.contains(torch.zeros(2, 2)),
        lambda r: r.contains_region(other),
        lambda r: (r.same_region(other), r.same_orientation(other)),
        lambda r: (r.corners(), r.hull(), r.to_rotated(), r.area_inside(SIZE)),
        lambda r: [getattr(r, f"matched_{measure}")(other) for measure in MEASURES],
        lambda r: [getattr(r, f"pairwise_{measure}")(other) for measure in MEASURES],
    ):
        gt.assert_unchanged_by(regions, call)


@on_every_kind
@pytest.mark.cuda
def test_regions_stay_on_their_device(kind, cuda):
    """Nothing moves to the CPU, and the numbers are those of the CPU."""
    regions = Boxes(torch.tensor([[1.0, 2, 6, 9], [3, -2, 20, 4], [30, 30, 31, 33]]).double())
    if kind is gt.rotated_boxes:
        regions = regions.rotate(25, center=(4, 4))
    there = regions.to(cuda)
    for call in (
        lambda r: r.clip_to(SIZE).to_rotated().cxcywha,
        lambda r: r.rotate(33, center=(1, 2)).cxcywha,
        lambda r: r.contains(r.centers()),
        lambda r: r.contains_region(r),
        lambda r: r.area_inside(SIZE),
        lambda r: r.pairwise_diou(r),
        lambda r: r.pairwise_distance(r),
        lambda r: r.same_region(r),
    ):
        assert call(there).device.type == "cuda"
        torch.testing.assert_close(call(there).cpu(), call(regions))
