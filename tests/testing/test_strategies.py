"""Strategies reach what they promise, shrink well and refuse options that make no sense."""

import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import InvalidArgument
from torch.utils._pytree import tree_leaves

from geodet import BitMasks, Boxes, ImageSize, PolygonMasks, RleMasks, RoiMasks, RotatedBoxes
from geodet import testing as gt

# Looking for one example of a kind: generous, so that the search does not depend on luck; without
# shrinking, which takes most of the time and is not the point.
SEARCH = settings(
    max_examples=3000,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
    phases=[Phase.generate],
)
SHRINK = settings(SEARCH, phases=[Phase.generate, Phase.shrink])

ROWS = ("boxes", "rotated_boxes", "bit_masks", "rle_masks", "polygon_masks", "keypoints")


def reaches(strategy, condition):
    """A drawn value for which the condition holds; the search fails when there is none."""
    return find(strategy, condition, settings=SEARCH)


def some(flags):
    """Tell whether any entry of a tensor is set."""
    return bool(flags.any())


def repeats(rows):
    """Tell whether two rows of a tensor are equal."""
    return len(rows) > len(rows.unique(dim=0)) if len(rows) else False


def touch(boxes):
    """Tell whether two boxes share a piece of an edge and no area."""
    x1, y1, x2, y2 = boxes.xyxy.unbind(1)
    beside = x2[:, None] == x1[None]
    overlap = torch.minimum(y2[:, None], y2[None]) > torch.maximum(y1[:, None], y1[None])
    sound = boxes.area() > 0
    return some(beside & overlap & sound[:, None] & sound[None])


def written_twice(boxes):
    """Tell whether two different rows are one region: half a turn apart."""
    rows = boxes.cxcywha
    same = (rows[:, None, :4] == rows[None, :, :4]).all(2)
    turned = (rows[:, None, 4] - rows[None, :, 4]).abs() == 180
    return some(same & turned)


def exchanged(boxes):
    """Tell whether two rows are one region with its sides exchanged and a quarter turned."""
    rows = boxes.cxcywha
    centers = (rows[:, None, :2] == rows[None, :, :2]).all(2)
    sides = (rows[:, None, 2:4] == rows[None, :, 2:4].flip(2)).all(2)
    quarter = (rows[:, None, 4] - rows[None, :, 4]).remainder(180) == 90
    return some(centers & sides & quarter & (rows[:, 2] != rows[:, 3])[:, None])


def is_frame(masks):
    """Tell whether a mask has an unset pixel with set ones on all four sides of it."""
    data = masks.data
    return some(
        ~data[:, 1:-1, 1:-1]
        & data[:, :-2, 1:-1]
        & data[:, 2:, 1:-1]
        & data[:, 1:-1, :-2]
        & data[:, 1:-1, 2:]
    )


def flat_rings(masks):
    """Tell whether a ring encloses nothing."""
    return any(
        abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(ring, ring[1:] + ring[:1], strict=True)))
        < 1e-9
        for mask in masks.to_rings()
        for part in mask
        for ring in part
    )


def overlapping_parts(masks):
    """Tell whether a mask's parts enclose more area together than its pixels show."""
    whole = masks.to_rle_masks().area()
    return some(masks.area() > 1.5 * whole + 4 * masks.image_size.height)


CASES = {
    "image_sizes: one pixel": (gt.image_sizes(), lambda s: s.area == 1),
    "image_sizes: one row": (gt.image_sizes(), lambda s: s.height == 1 < s.width),
    "image_sizes: one column": (gt.image_sizes(), lambda s: s.width == 1 < s.height),
    "image_sizes: square": (gt.image_sizes(), lambda s: s.width == s.height > 1),
    "boxes: none": (gt.boxes(), lambda b: len(b) == 0),
    "boxes: upright line": (gt.boxes(), lambda b: some((b.widths() == 0) & (b.heights() > 0))),
    "boxes: level line": (gt.boxes(), lambda b: some((b.widths() > 0) & (b.heights() == 0))),
    "boxes: point": (gt.boxes(), lambda b: some((b.widths() == 0) & (b.heights() == 0))),
    "boxes: equal": (gt.boxes(degenerate=False), lambda b: repeats(b.xyxy)),
    "boxes: touching": (gt.boxes(max_rows=8), touch),
    "boxes: whole image": (
        gt.boxes(image_size=ImageSize(5, 9)),
        lambda b: some((b.xyxy == b.xyxy.new_tensor([0, 0, 9, 5])).all(1)),
    ),
    "boxes: outside": (
        gt.boxes(image_size=ImageSize(5, 9), inside=False),
        lambda b: some(b.xyxy[:, 0] >= 9),
    ),
    "boxes: across the border": (
        gt.boxes(image_size=ImageSize(5, 9), inside=False),
        lambda b: some((b.xyxy[:, 0] < 0) & (b.xyxy[:, 2] > 9)),
    ),
    "rotated: none": (gt.rotated_boxes(), lambda b: len(b) == 0),
    "rotated: line": (gt.rotated_boxes(), lambda b: some((b.cxcywha[:, 2:4] == 0).sum(1) == 1)),
    "rotated: point": (gt.rotated_boxes(), lambda b: some((b.cxcywha[:, 2:4] == 0).all(1))),
    "rotated: equal": (gt.rotated_boxes(), lambda b: repeats(b.cxcywha)),
    "rotated: right angle": (gt.rotated_boxes(), lambda b: some(b.angles_deg() == 90)),
    "rotated: any angle": (gt.rotated_boxes(), lambda b: some(b.angles_deg() % 45 != 0)),
    "rotated: beyond the image": (gt.rotated_boxes(), lambda b: some(b.hull().xyxy < 0)),
    "rotated: half a turn": (gt.rotated_boxes(), written_twice),
    "rotated: sides exchanged": (gt.rotated_boxes(), exchanged),
    "scores: ties": (gt.scores(rows=3), repeats),
    "scores: bounds": (gt.scores(rows=3), lambda s: some(s == 0) and some(s == 1)),
    "bits: none": (gt.bit_masks(), lambda m: len(m) == 0),
    "bits: no pixel": (gt.bit_masks(), lambda m: some(m.area() == 0)),
    "bits: one pixel": (gt.bit_masks(), lambda m: some(m.area() == 1) and m.image_size.area > 9),
    "bits: whole image": (gt.bit_masks(), lambda m: some(m.area() == m.image_size.area)),
    "bits: frame": (gt.bit_masks(), is_frame),
    "bits: equal": (gt.bit_masks(), lambda m: some(m.area() > 1) and repeats(m.data)),
    "bits: noise": (gt.bit_masks(), lambda m: some(m.data[:, :, 1:] != m.data[:, :, :-1])),
    "runs: one run": (gt.rle_masks(), lambda m: some(m.offsets.diff() == 1)),
    "runs: leading 0": (gt.rle_masks(min_rows=1), lambda m: int(m.counts[0]) == 0),
    "polygons: none": (gt.polygon_masks(), lambda m: len(m) == 0),
    "polygons: no part": (gt.polygon_masks(), lambda m: some(m.mask_offsets.diff() == 0)),
    "polygons: several parts": (gt.polygon_masks(), lambda m: some(m.mask_offsets.diff() > 1)),
    "polygons: overlapping parts": (gt.polygon_masks(), overlapping_parts),
    "polygons: holes": (gt.polygon_masks(), lambda m: some(m.part_offsets.diff() == 2)),
    "polygons: nested holes": (
        gt.polygon_masks(max_holes=3),
        lambda m: some(m.part_offsets.diff() == 4),
    ),
    "polygons: flat ring": (gt.polygon_masks(), flat_rings),
    "polygons: equal": (
        gt.polygon_masks(),
        lambda m: len(m) == 2 and len(m.points) > 0 and m[0].equal(m[1]),
    ),
    "soft: none": (gt.roi_masks(), lambda m: len(m) == 0),
    "soft: zeros": (gt.roi_masks(), lambda m: some((m.probabilities == 0).all(2).all(1))),
    "soft: ones": (gt.roi_masks(), lambda m: some((m.probabilities == 1).all(2).all(1))),
    "soft: noise": (gt.roi_masks(), lambda m: some((m.probabilities * 4).frac() != 0)),
    "skeletons: one point": (gt.skeletons(), lambda s: len(s) == 1),
    "skeletons: no pair": (gt.skeletons(), lambda s: len(s) > 1 and not s.flip_pairs),
    "skeletons: pairs and others": (gt.skeletons(), lambda s: 0 < 2 * len(s.flip_pairs) < len(s)),
    "keypoints: none": (gt.keypoints(), lambda k: len(k) == 0),
    "keypoints: nothing labelled": (
        gt.keypoints(),
        lambda k: len(k) > 0 and not some(k.labelled()),
    ),
    "keypoints: hidden and visible": (
        gt.keypoints(),
        lambda k: some((k.xyv[..., 2] == 1).any(1) & (k.xyv[..., 2] == 2).any(1)),
    ),
    "keypoints: on the border": (
        gt.keypoints(image_size=ImageSize(5, 9)),
        lambda k: some(k.xyv[..., 0] == 9),
    ),
    "panoptic: no segment": (gt.panoptic_segmentations(), lambda p: not p.segments),
    "panoptic: segment without pixels": (
        gt.panoptic_segmentations(),
        lambda p: any(not some(p.ids == segment.id) for segment in p.segments),
    ),
    "panoptic: void beside segments": (
        gt.panoptic_segmentations(),
        lambda p: some(p.ids == 0) and some(p.ids != 0),
    ),
    "semantic: no class": (gt.semantic_maps(), lambda s: not len(s.classes())),
    "semantic: void beside classes": (
        gt.semantic_maps(),
        lambda s: some(s.labels < 0) and some(s.labels == 3),
    ),
    "semantic scores: padding": (
        gt.semantic_scores(),
        lambda s: s.input_size.height < s.stride * s.logits.shape[1],
    ),
    "semantic scores: cells of one pixel": (gt.semantic_scores(), lambda s: s.stride == 1),
    "semantic scores: ties": (
        gt.semantic_scores(num_classes=2),
        lambda s: some(s.logits[0] == s.logits[1]),
    ),
    "instances: bits": (gt.instances(), lambda t: isinstance(t.masks, BitMasks)),
    "instances: runs": (gt.instances(), lambda t: isinstance(t.masks, RleMasks)),
    "instances: outlines": (gt.instances(), lambda t: isinstance(t.masks, PolygonMasks)),
    "instances: soft": (gt.instances(), lambda t: isinstance(t.masks, RoiMasks)),
    "instances: rotated": (gt.instances(), lambda t: isinstance(t.boxes, RotatedBoxes)),
    "instances: level": (gt.instances(), lambda t: isinstance(t.boxes, Boxes)),
    "instances: no column": (gt.instances(), lambda t: not t.columns()),
    "instances: all columns": (gt.instances(), lambda t: len(t.columns()) == 8),
    "instances: columns, no row": (gt.instances(), lambda t: t.columns() and len(t) == 0),
    "images: one": (gt.image_lists(), lambda i: len(i) == 1),
    "images: different sizes": (gt.image_lists(), lambda i: len(set(i.sizes)) > 1),
    "images: equal sizes": (gt.image_lists(), lambda i: len(i) > len(set(i.sizes))),
    "images: no padding": (gt.image_lists(), lambda i: not some(i.padding_mask())),
    "indices: backwards": (
        gt.row_indices(rows=3),
        lambda i: isinstance(i, slice) and (i.step or 1) < 0,
    ),
    "indices: negative int": (gt.row_indices(rows=3), lambda i: isinstance(i, int) and i < 0),
    "indices: repeated": (
        gt.row_indices(rows=3),
        lambda i: isinstance(i, torch.Tensor) and i.dtype == torch.int64 and repeats(i),
    ),
    "indices: empty mask": (
        gt.row_indices(rows=3),
        lambda i: isinstance(i, torch.Tensor) and i.dtype == torch.bool and not some(i),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_named_case_is_reached(case):
    """Each case that a docstring promises under `Reaches` is drawn."""
    strategy, condition = CASES[case]
    reaches(strategy, condition)


@pytest.mark.parametrize("name", [*ROWS, "roi_masks"])
def test_rows_reach_both_bounds(name):
    """Empty tables are drawn, and so are the largest; no table is outside the bounds."""
    strategy = getattr(gt, name)(min_rows=1, max_rows=2)
    for rows in (1, 2):
        reaches(strategy, lambda t, rows=rows: len(t) == rows)

    @given(strategy)
    def within(table):
        assert 1 <= len(table) <= 2

    within()


@given(gt.boxes(degenerate=False, inside=False), gt.rotated_boxes(degenerate=False))
def test_degenerate_boxes_can_be_switched_off(boxes, rotated):
    """Without them every box has an area."""
    assert bool(boxes.nonempty().all())
    assert bool(rotated.nonempty().all())


SHRUNK = {
    "box with area": (
        gt.boxes(),
        lambda b: some(b.area() > 0),
        lambda b: b.xyxy.tolist() == [[0, 0, 0.125, 0.125]],
    ),
    "two boxes": (gt.boxes(), lambda b: len(b) > 1, lambda b: b.xyxy.tolist() == [[0] * 4] * 2),
    "rotated box": (
        gt.rotated_boxes(),
        lambda b: some(b.area() > 0),
        lambda b: b.cxcywha[0, :4].tolist() == [0, 0, 0.125, 0.125] and len(b) == 1,
    ),
    "turned box": (
        gt.rotated_boxes(),
        lambda b: some(b.angles_deg() > 10),
        # The smallest eighth of a turn, or the smallest of all angles: which of the two ways to
        # draw an angle came up first decides.
        lambda b: b.cxcywha.tolist() in ([[0, 0, 0, 0, 45]], [[0, 0, 0, 0, 10.125]]),
    ),
    "bit mask": (
        gt.bit_masks(),
        lambda m: some(m.data),
        lambda m: m.data.tolist() == [[[True]]],
    ),
    "runs": (
        gt.rle_masks(),
        lambda m: some(m.area() > 0),
        lambda m: m.counts.tolist() == [0, 1] and m.image_size.area == 1,
    ),
    "polygon": (
        gt.polygon_masks(),
        lambda m: len(m.points) > 0,
        lambda m: len(m) == 1 and len(m.points) == 3 and m.image_size.area == 1,
    ),
    "hole": (
        gt.polygon_masks(),
        lambda m: some(m.part_offsets.diff() > 1),
        lambda m: len(m) == 1 and len(m.points) == 6 and len(m.mask_offsets) == 2,
    ),
    "soft mask": (
        gt.roi_masks(side=2),
        lambda m: some(m.probabilities > 0),
        lambda m: len(m) == 1 and m.roi_boxes.xyxy.tolist() == [[0, 0, 0.125, 0.125]],
    ),
    "keypoint": (
        gt.keypoints(),
        lambda k: some(k.labelled()),
        lambda k: k.xyv.tolist() == [[[0, 0, 1]]],
    ),
    "panoptic": (
        gt.panoptic_segmentations(),
        lambda p: some(p.ids != 0),
        lambda p: p.ids.tolist() == [[1]] and len(p.segments) == 1,
    ),
    "semantic": (
        gt.semantic_maps(),
        lambda s: some(s.labels >= 0),
        lambda s: s.labels.tolist() == [[0]],
    ),
    "instances": (
        gt.instances(),
        lambda t: len(t) > 0,
        lambda t: len(t) == 1 and len(t.columns()) == 1 and t.image_size.area == 1,
    ),
    "images": (
        gt.image_lists(),
        lambda i: some(i.tensor > 0),
        lambda i: list(i.tensor.shape) == [1, 3, 1, 1] and int(i.tensor.sum()) == 1,
    ),
    "image size": (gt.image_sizes(), lambda s: s.area > 5, lambda s: s.area <= 6),
    "scores": (gt.scores(rows=3), lambda s: some(s > 0), lambda s: float(s.sum()) == 1 / 16),
}


@pytest.mark.parametrize("case", SHRUNK)
def test_failures_shrink_to_small_examples(case):
    """What a failing test would show is the smallest table with the property and nothing else."""
    strategy, condition, is_small = SHRUNK[case]
    found = find(strategy, condition, settings=SHRINK)
    assert is_small(found), (found, tree_leaves(found))


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


FLOATING = (
    *("boxes", "rotated_boxes", "roi_masks", "keypoints", "instances", "image_lists"),
    "semantic_scores",
)
MOVABLE = (*FLOATING, "bit_masks", "panoptic_segmentations", "semantic_maps")


@pytest.mark.parametrize("name", FLOATING)
def test_dtypes_are_kept(name):
    """Every floating-point tensor has the dtype asked for."""

    @given(getattr(gt, name)(dtype=torch.float64))
    def all_double(structure):
        host_only = getattr(structure, "masks", None)
        for leaf in torch.utils._pytree.tree_leaves(structure):
            assert leaf.dtype == torch.float64 or not leaf.is_floating_point(), host_only

    all_double()


@pytest.mark.parametrize("name", MOVABLE)
def test_devices_are_kept(device, name):
    """Structures that can lie on a device lie on the one asked for."""

    @settings(max_examples=10)
    @given(getattr(gt, name)(device=device))
    def on_device(structure):
        has_movable = name != "instances" or any(
            isinstance(column, torch.Tensor) for column in structure.columns().values()
        )
        assert structure.device == device or not has_movable

    on_device()


@given(gt.scores(rows=5, distinct=True, dtype=torch.float64))
def test_scores_can_be_distinct(scores):
    """No two of them are equal then."""
    assert len(scores.unique()) == 5
    assert scores.dtype == torch.float64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gt.boxes(min_rows=3, max_rows=2), "min_rows = 3 is larger than max_rows = 2"),
        (lambda: gt.boxes(min_rows=-1), "min_rows: expected an int of at least 0, got -1"),
        (lambda: gt.boxes(max_rows=1.5), "max_rows: expected an int of at least 0, got 1.5"),
        (lambda: gt.boxes(image_size=(2, 3)), "image_size: expected ImageSize or a strategy"),
        (lambda: gt.rotated_boxes(dtype=torch.int64), "dtype: expected a floating-point dtype"),
        (lambda: gt.boxes(device="gpu7"), "device: expected one that torch knows, got 'gpu7'"),
        (lambda: gt.bit_masks(device=5.0), "device: expected one that torch knows, got 5.0"),
        (lambda: gt.keypoints(dtype="float"), "dtype: expected a floating-point dtype, got float"),
        (lambda: gt.image_lists(dtype=torch.int32), "dtype: expected a floating-point dtype"),
        (lambda: gt.scores(rows=-1), "rows: expected an int of at least 0, got -1"),
        (lambda: gt.scores(rows=300, distinct=True), "rows = 300 is larger than most distinct"),
        (lambda: gt.image_sizes(min_side=0), "min_side: expected an int of at least 1, got 0"),
        (lambda: gt.polygon_masks(max_holes=9), "max_holes = 9 is larger than most holes = 3"),
        (lambda: gt.polygon_masks(max_points=2), "max_points: expected an int of at least 3"),
        (lambda: gt.instances(columns=("bbox",)), "columns: expected some of"),
        (lambda: gt.instances(num_classes=0), "num_classes: expected an int of at least 1"),
        (lambda: gt.skeletons(min_points=0), "min_points: expected an int of at least 1"),
        (lambda: gt.panoptic_segmentations(max_segments=300), "max_segments = 300 is larger"),
        (lambda: gt.semantic_maps(num_classes=300), "num_classes = 300 is larger"),
        (lambda: gt.semantic_scores(num_classes=0), "num_classes: expected an int of at least 1"),
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
