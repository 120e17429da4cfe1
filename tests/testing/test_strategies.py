"""Strategies reach what they promise and refuse options that make no sense."""

import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import InvalidArgument

from geodet import BitMasks, ImageSize, PolygonMasks, RleMasks, RoiMasks, RotatedBoxes
from geodet import testing as gt

# Looking for one example of a kind: generous, so that the search does not depend on luck; without
# shrinking, which takes most of the time and is not the point.
SEARCH = settings(
    max_examples=2000,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.generate],
)

ROWS = ("boxes", "rotated_boxes", "bit_masks", "rle_masks", "polygon_masks", "keypoints")


def reaches(strategy, condition):
    """A drawn value for which the condition holds; the search fails when there is none."""
    return find(strategy, condition, settings=SEARCH)


@pytest.mark.parametrize("name", [*ROWS, "roi_masks", "instances"])
def test_rows_reach_both_bounds(name):
    """Empty tables are drawn, and so are the largest."""
    strategy = getattr(gt, name)(max_rows=2)
    assert len(reaches(strategy, lambda t: len(t) == 0)) == 0
    if name != "instances":
        assert len(reaches(strategy, lambda t: len(t) == 2)) == 2


def test_degenerate_boxes_are_drawn_unless_switched_off():
    """Boxes without area occur, and `degenerate=False` excludes them."""
    reaches(gt.boxes(), lambda b: len(b) > 0 and bool((b.area() == 0).any()))

    @given(gt.boxes(degenerate=False), gt.rotated_boxes(degenerate=False))
    def all_have_area(boxes, rotated):
        assert bool(boxes.nonempty().all())
        assert bool(rotated.nonempty().all())

    all_have_area()


def test_masks_reach_empty_full_and_several_parts():
    """Empty and full masks, polygons without parts, with several parts and with holes occur."""
    reaches(gt.bit_masks(), lambda m: len(m) > 0 and not m.data.any())
    reaches(gt.bit_masks(), lambda m: len(m) > 0 and bool(m.data.all()))
    reaches(gt.polygon_masks(), lambda m: bool((m.mask_offsets.diff() == 0).any()))
    reaches(gt.polygon_masks(), lambda m: bool((m.mask_offsets.diff() > 1).any()))
    reaches(gt.polygon_masks(), lambda m: bool((m.part_offsets.diff() > 1).any()))


def test_instances_reach_every_kind_of_column():
    """All four kinds of masks, rotated boxes and no column at all occur."""
    for kind in (BitMasks, RleMasks, PolygonMasks, RoiMasks):
        reaches(gt.instances(), lambda t, kind=kind: isinstance(t.masks, kind))
    reaches(gt.instances(), lambda t: isinstance(t.boxes, RotatedBoxes))
    assert not reaches(gt.instances(), lambda t: not t.columns()).columns()


def test_boxes_shrink_to_a_small_example():
    """A box with area shrinks to one on the pixel grid's finest step at the origin."""
    shrinking = settings(SEARCH, phases=[Phase.generate, Phase.shrink])
    found = find(gt.boxes(), lambda b: bool((b.area() > 0).any()), settings=shrinking)
    assert found.xyxy.tolist() == [[0.0, 0.0, 0.125, 0.125]]


@given(gt.boxes(image_size=ImageSize(5, 9), min_rows=2, max_rows=2, dtype=torch.float64))
def test_options_of_boxes_are_kept(boxes):
    """Image size, rows and dtype are as asked for."""
    assert len(boxes) == 2
    assert boxes.xyxy.dtype == torch.float64
    assert bool(boxes.inside(ImageSize(5, 9)).all())


@given(gt.instances(columns=("labels", "scores"), num_classes=2))
def test_options_of_instances_are_kept(instances):
    """Exactly the columns asked for, with labels in range."""
    assert set(instances.columns()) == {"labels", "scores"}
    assert instances.validated(num_classes=2) is instances


@given(gt.polygon_masks(max_parts=1, max_holes=0, max_points=4, min_rows=1))
def test_options_of_polygons_are_kept(masks):
    """At most one part, no holes, at most four points a ring."""
    assert int(masks.mask_offsets.diff().max()) <= 1
    assert not bool((masks.part_offsets.diff() > 1).any())
    assert not bool((masks.ring_offsets.diff() > 4).any())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gt.boxes(min_rows=3, max_rows=2), "min_rows = 3 is larger than max_rows = 2"),
        (lambda: gt.boxes(min_rows=-1), "min_rows: expected an int of at least 0, got -1"),
        (lambda: gt.boxes(max_rows=1.5), "max_rows: expected an int of at least 0, got 1.5"),
        (lambda: gt.boxes(image_size=(2, 3)), "image_size: expected ImageSize or a strategy"),
        (lambda: gt.rotated_boxes(dtype=torch.int64), "dtype: expected a floating-point dtype"),
        (lambda: gt.image_sizes(min_side=0), "min_side: expected an int of at least 1, got 0"),
        (lambda: gt.polygon_masks(max_holes=9), "max_holes = 9 is larger than most holes = 3"),
        (lambda: gt.polygon_masks(max_points=2), "max_points: expected an int of at least 3"),
        (lambda: gt.instances(columns=("bbox",)), "columns: expected some of"),
        (lambda: gt.instances(num_classes=0), "num_classes: expected an int of at least 1"),
        (lambda: gt.skeletons(min_points=0), "min_points: expected an int of at least 1"),
        (lambda: gt.panoptic_segmentations(max_segments=300), "max_segments = 300 is larger"),
        (lambda: gt.image_lists(channels=0), "channels: expected an int of at least 1"),
        (lambda: gt.roi_masks(side=0), "side: expected an int of at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(make, message):
    """The error comes when the strategy is made, not when the first example is drawn."""
    with pytest.raises(InvalidArgument, match=message):
        make()


def test_a_missing_hypothesis_says_how_to_install_it():
    """Without hypothesis, geodet works and geodet.testing names the extra to install."""
    program = "import sys; sys.modules['hypothesis'] = None; import geodet, geodet.testing"
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    message = "geodet.testing: expected the package hypothesis; pip install 'geodet[testing]'"
    assert f"MissingDependencyError: {message}" in done.stderr
