"""The built-in shapes pictures: the same everywhere, and their truth agrees with itself."""

import collections
import hashlib
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet.data.sources._shape_outlines import OUTLINES, POINT_NAMES
from geodet.data.sources._shape_random import Draws, cos_sin_deg
from geodet.data.sources.shapes import ShapesSource
from geodet.data.sources.source import Source
from geodet.errors import InvalidValueError
from geodet.structures import ImageSize

SOURCE = ShapesSource(10_000, size=ImageSize(96, 128), seed=3)
LARGE = ShapesSource(60, size=ImageSize(256, 256), seed=5, max_objects=3)
samples = st.integers(0, 9_999).map(SOURCE.__getitem__)


def _digest(source, indices):
    """Hash every array of the given samples, whatever the byte order of this machine."""
    digest = hashlib.sha256()
    for index in indices:
        sample = source[index]
        rows = sample.instances
        for tensor in (
            sample.image,
            rows.labels,
            rows.boxes.xyxy,
            rows.masks.data,
            rows.keypoints.xyv,
            rows.extras["rotated_boxes"].cxcywha,
            sample.panoptic.ids,
        ):
            array = tensor.numpy()
            digest.update(str(array.shape).encode())
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def test_pictures_are_the_same_on_every_machine():
    """Six pictures and all their truth hash to what they hashed to when they were designed."""
    square = ShapesSource(10**9, size=ImageSize(128, 128), seed=0)
    assert _digest(square, (0, 1, 2, 12_345, 10**9 - 1)) == (
        "850e23abb1bc907f2a12295ec44a270a877bdcc97604c161156d6a90fbd5d3b5"
    )
    assert _digest(SOURCE, (7,)) == (
        "ee9f723f4e09b04ce2c67943bddac0f33cb11068a4fb8a508c024d948452e708"
    )


def test_a_picture_depends_on_seed_and_index_alone():
    """Reading order, the length and a round trip through pickle change no bit; the seed does."""
    other = ShapesSource(20, size=ImageSize(96, 128), seed=3)
    copy = pickle.loads(pickle.dumps(SOURCE))  # noqa: S301 - our own bytes
    expected = _digest(SOURCE, range(5))
    [other[index] for index in (19, 3, 0)]
    assert _digest(other, range(5)) == expected
    assert _digest(copy, range(5)) == expected
    assert _digest(ShapesSource(20, size=ImageSize(96, 128), seed=4), range(5)) != expected
    assert len({_digest(SOURCE, [index]) for index in range(40)}) == 40


@given(samples)
def test_boxes_are_the_tight_boxes_of_the_masks(sample):
    """Each box is the half-open box of the pixels of its mask."""
    rows = sample.instances.validated(num_classes=len(SOURCE.label_map))
    assert rows.boxes.equal(rows.masks.boxes())
    assert not rows.is_crowd.any()


@given(samples)
def test_masks_are_disjoint_and_large_enough_to_be_seen(sample):
    """A pixel shows one object at most, and every object shows at least 12 pixels."""
    masks = sample.instances.masks
    assert (masks.data.sum(dim=0) <= 1).all()
    assert (masks.area() >= 12).all()


@given(samples)
def test_rotated_boxes_hold_the_visible_pixels(sample):
    """No centre of a visible pixel lies outside its rotated box."""
    for row in sample.instances:
        y, x = (axis.double() + 0.5 for axis in torch.nonzero(row.masks.data[0], as_tuple=True))
        cx, cy, width, height, angle_deg = row.extras["rotated_boxes"].cxcywha[0].double()
        angle = torch.deg2rad(angle_deg)  # counter-clockwise on the screen, y down
        along = (x - cx) * torch.cos(angle) - (y - cy) * torch.sin(angle)
        across = (x - cx) * torch.sin(angle) + (y - cy) * torch.cos(angle)
        assert (along.abs() <= width / 2 + 1e-3).all()  # float32 coordinates up to 200 px
        assert (across.abs() <= height / 2 + 1e-3).all()


def test_rotated_boxes_are_tight():
    """The outline of an object that is seen whole comes within two pixels of all four sides."""
    checked = 0
    for index in range(len(LARGE)):
        rows = LARGE[index].instances
        for row in rows:
            box = row.boxes.xyxy[0]
            if len(rows) > 1 or box.min() <= 0 or box.max() >= 256:
                continue
            y, x = (axis.double() + 0.5 for axis in torch.nonzero(row.masks.data[0], as_tuple=True))
            cx, cy, width, height, angle_deg = row.extras["rotated_boxes"].cxcywha[0].double()
            angle = torch.deg2rad(angle_deg)
            along = (x - cx) * torch.cos(angle) - (y - cy) * torch.sin(angle)
            across = (x - cx) * torch.sin(angle) + (y - cy) * torch.cos(angle)
            # A tip of the star is so thin that the last pixel centre inside can lie 4 px behind.
            gaps = (width / 2 - along.max(), along.min() + width / 2)
            gaps += (height / 2 - across.max(), across.min() + height / 2)
            assert max(gaps) < 4
            checked += 1
    assert checked >= 5


@given(samples)
def test_visible_keypoints_lie_on_their_object(sample):
    """Visibility is 2 where the pixel under a point shows its object, else 1; 0 is outside."""
    height, width = sample.image_size
    for row in sample.instances:
        for x, y, visibility in row.keypoints.xyv[0].tolist():
            if visibility == 0:
                assert (x, y) == (0, 0)
                continue
            assert 0 <= x < width
            assert 0 <= y < height
            seen = bool(row.masks.data[0, int(y), int(x)])
            assert visibility == (2 if seen else 1)


def test_points_out_of_the_picture_are_not_labelled():
    """Where the rotated box puts the head tells whether it is labelled: exactly inside."""
    height, width = SOURCE.size
    labelled, heads = [], []
    for index in range(60):
        for row in SOURCE[index].instances:
            ahead = OUTLINES[int(row.labels[0])].points[0][0]
            corners = row.extras["rotated_boxes"].corners()[0].double()
            top, centre = (corners[0] + corners[1]) / 2, corners.mean(dim=0)
            heads.append(centre + ahead * (top - centre))
            labelled.append(bool(row.keypoints.xyv[0, 0, 2] > 0))
    x, y = torch.stack(heads).unbind(1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    clear = torch.stack([x.abs(), y.abs(), (x - width).abs(), (y - height).abs()]).amin(0) > 1e-3
    assert torch.equal(torch.tensor(labelled)[clear], inside[clear])
    assert 5 < int((~inside).sum()) < len(heads) / 2


def test_only_the_classes_that_are_asked_for_are_drawn():
    """Labels count in the order of the names, in boxes and in the panoptic map."""
    source = ShapesSource(40, seed=3, classes=("arrow", "disc"))
    assert source.label_map.names == ("arrow", "disc")
    assert len(source.panoptic_label_map) == 6
    seen = set()
    for index in range(len(source)):
        sample = source[index]
        seen |= set(sample.instances.labels.tolist())
        for row in sample.instances:
            points = row.keypoints.xyv[0]
            length = float(row.extras["rotated_boxes"].cxcywha[0, 3])
            if (points[:, 2] > 0).all():  # from head to tail: 1.55 half lengths of an arrow
                share = (points[0, :2] - points[3, :2]).norm() / (0.5 * length)
                named = source.classes[int(row.labels[0])]
                assert abs(float(share) - {"arrow": 1.55, "disc": 1.6}[named]) < 1e-3
        for segment in sample.panoptic.validated().segments:
            assert segment.is_thing == (segment.label < 2)
            assert segment.label < 6
    assert seen == {0, 1}


@pytest.mark.parametrize("classes", [(), ("arrow", "arrow"), ("arrow", "cube")])
def test_classes_that_cannot_be_drawn_are_refused(classes):
    """None, one given twice, and an unknown name."""
    with pytest.raises(InvalidValueError, match=r"classes: expected some of disc, brick"):
        ShapesSource(4, seed=0, classes=classes)


@given(samples, st.booleans())
def test_the_head_is_at_the_top_of_the_rotated_box(sample, mirrored):
    """From tail to head is up in the box's own frame, in the picture and in its mirror image."""
    boxes, points = sample.instances.extras["rotated_boxes"], sample.instances.keypoints
    if mirrored:
        boxes = boxes.flip_horizontally(sample.image_size)
        points = points.flip_horizontally(sample.image_size)
    if len(boxes) == 0:
        return
    corners = boxes.corners().double()
    top = (corners[:, 0] + corners[:, 1]) / 2
    right = (corners[:, 1] + corners[:, 2]) / 2
    head, left, right_point, tail = points.xyv[:, :, :2].double().unbind(1)
    axes = {"up": top - boxes.centers(), "right": right - boxes.centers()}
    axes = {name: axis / axis.norm(dim=1, keepdim=True) for name, axis in axes.items()}
    # Points out of the picture are nowhere.
    both_ends, both_sides = points.labelled()[:, [0, 3]].all(1), points.labelled()[:, 1:3].all(1)
    ahead, across = head - tail, right_point - left
    assert ((ahead * axes["right"]).sum(dim=1).abs() < 1e-3)[both_ends].all()
    assert ((ahead * axes["up"]).sum(dim=1) > 0)[both_ends].all()
    assert ((across * axes["up"]).sum(dim=1).abs() < 1e-3)[both_sides].all()
    assert ((across * axes["right"]).sum(dim=1) > 0)[both_sides].all()


def test_named_points_lie_inside_their_outline():
    """Every named point of every class lies inside, at all proportions; left mirrors right."""
    for outline in OUTLINES:
        for a in (8.0, 100.0):
            for ratio in outline.widths:
                points = np.array(outline.points, dtype=np.float32) * np.float32([a, a * ratio])
                depth = outline.distance(points[:, 0], points[:, 1], a, a * ratio)
                assert (depth < 0).all(), outline.name
        named = dict(zip(POINT_NAMES, outline.points, strict=True))
        assert named["left"] == (named["right"][0], -named["right"][1])
        assert named["left"][1] < 0 < named["head"][0]


def test_distances_agree_with_shapely():
    """Signed distances of the straight-sided classes are those of polygons made by shapely."""
    shapely = pytest.importorskip("shapely")
    a, b = 30.0, 20.0
    rng = np.random.default_rng(0)
    u = rng.uniform(-40, 40, 400).astype(np.float32)
    v = rng.uniform(-40, 40, 400).astype(np.float32)
    star = [(np.cos(t), np.sin(t)) for t in np.deg2rad(np.arange(0, 360, 72))]
    notch = [(0.45 * np.cos(t), 0.45 * np.sin(t)) for t in np.deg2rad(np.arange(36, 396, 72))]
    tips = np.stack((star, notch), axis=1).reshape(-1, 2)
    low, high = tips.min(axis=0), tips.max(axis=0)
    corners = {
        "star": (tips - (low + high) / 2) / ((high - low) / 2),
        "triangle": np.array([(1, 0), (-1, 1), (-1, -1)]),
        "arrow": np.array(
            [(1, 0), (0.1, 1), (0.1, 0.4), (-1, 0.4), (-1, -0.4), (0.1, -0.4), (0.1, -1)]
        ),
    }
    for outline in OUTLINES:
        if outline.name not in corners:
            continue
        polygon = shapely.Polygon(corners[outline.name] * [a, b])
        dots = shapely.points(u, v)
        far = shapely.distance(polygon.exterior, dots)
        expected = np.where(shapely.contains(polygon, dots), -far, far)
        # Corners of the star are written with four digits, times 30 px.
        np.testing.assert_allclose(outline.distance(u, v, a, b), expected, atol=5e-3)


def test_holes_and_parts_exist():
    """A whole ring encloses background, and whole halves are two separate parts."""
    ndimage = pytest.importorskip("scipy.ndimage")
    names = SOURCE.label_map.names
    holes, parts = 0, collections.Counter()
    for index in range(len(LARGE)):
        for row in LARGE[index].instances:
            mask = np.pad(row.masks.data[0].numpy(), 1)
            name = names[int(row.labels[0])]
            _, outside = ndimage.label(~mask)
            holes += name == "ring" and outside == 2
            parts[name, ndimage.label(mask)[1]] += 1
    assert holes >= 3
    assert parts["halves", 2] >= 3
    assert parts["disc", 1] >= 3


@given(samples)
def test_panoptic_map_shows_the_same_objects(sample):
    """Thing segments are the instances in their order; stuff fills the rest; no pixel is void."""
    panoptic, rows = sample.panoptic.validated(), sample.instances
    things = [segment for segment in panoptic.segments if segment.is_thing]
    assert len(things) == len(rows)
    for segment, label, mask in zip(things, rows.labels.tolist(), rows.masks.data, strict=True):
        assert segment.label == label
        assert torch.equal(panoptic.ids == segment.id, mask)
    stuff = [segment for segment in panoptic.segments if not segment.is_thing]
    assert 1 <= len(stuff) <= 2
    assert all(7 <= segment.label < len(SOURCE.panoptic_label_map) for segment in stuff)
    listed = {segment.id for segment in panoptic.segments}
    assert set(panoptic.ids.unique().tolist()) == listed


def test_classes_and_counts_are_balanced():
    """Over 600 pictures every class, every background and every number of objects is common."""
    classes, counts, stuff, lengths = collections.Counter(), collections.Counter(), set(), []
    for index in range(600):
        sample = SOURCE[index]
        classes.update(sample.instances.labels.tolist())
        counts[len(sample.instances)] += 1
        stuff |= {segment.label for segment in sample.panoptic.segments if not segment.is_thing}
        lengths += (sample.instances.extras["rotated_boxes"].cxcywha[:, 3] / 96).tolist()
    assert len(classes) == 7
    assert max(classes.values()) < 1.5 * min(classes.values())
    assert stuff == {7, 8, 9, 10}
    assert all(counts[number] > 30 for number in range(1, 6))
    assert min(lengths) >= 0.1199
    assert max(lengths) <= 0.5001
    assert np.quantile(lengths, 0.9) > 0.35


def test_colour_says_nothing_about_the_class():
    """The mean colours of the classes are nearly the same, and the objects differ from behind."""
    sums = collections.defaultdict(list)
    for index in range(300):
        sample = SOURCE[index]
        for label, mask in zip(
            sample.instances.labels.tolist(), sample.instances.masks.data, strict=True
        ):
            sums[label].append(sample.image[:, mask].float().mean(dim=1))
    means = torch.stack([torch.stack(rows).mean(dim=0) for _, rows in sorted(sums.items())])
    spread = torch.stack([torch.stack(rows).std(dim=0) for _, rows in sorted(sums.items())])
    # About 120 objects a class with a deviation of 50 levels: means within 3 * 50 / sqrt(120).
    assert (means - means.mean(dim=0)).abs().max() < 18
    assert spread.min() > 30


def test_objects_occlude_each_other():
    """Some named points are hidden though they lie inside the picture and on the outline."""
    hidden = 0
    for index in range(50):
        for row in SOURCE[index].instances:
            x, y, visibility = row.keypoints.xyv[0].unbind(1)
            hidden += int(((visibility == 1) & (x > 0) & (x < 128) & (y > 0) & (y < 96)).sum())
    assert hidden > 10


@given(
    st.builds(ImageSize, st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 8),
    st.integers(0, 2**63),
    st.integers(0, 2**40),
)
def test_any_size_seed_and_index_give_a_sound_sample(size, max_objects, seed, index):
    """From one pixel on, with or without objects, every sample passes every check."""
    source = ShapesSource(2**41, size=size, seed=seed, max_objects=max_objects)
    sample = source[index]
    rows = sample.instances.validated(num_classes=7)
    sample.panoptic.validated()
    assert sample.image.shape == (3, *size)
    assert sample.image.is_contiguous()
    assert len(rows) <= max_objects
    assert rows.boxes.inside(size).all()
    assert sample.source == source.describe(index)


def test_the_source_keeps_the_protocol():
    """It is a Source, says its names and sizes without drawing, and ends where it ends."""
    source = ShapesSource(3, seed=1)
    assert isinstance(source, Source)
    assert source.label_map.names == (
        "disc", "brick", "triangle", "star", "ring", "halves", "arrow",
    )  # fmt: skip
    assert source.panoptic_label_map.names[7:] == ("sky", "wall", "ground", "water")
    assert source.skeleton.names == ("head", "left", "right", "tail")
    assert source.image_sizes() == [ImageSize(128, 128)] * 3
    assert [sample.image_id for sample in source] == [0, 1, 2]
    for index in (-1, 3):
        with pytest.raises(IndexError, match="0 <= index < 3"):
            source[index]


def test_a_source_of_no_picture_is_empty():
    """Length 0 is legal, has no sizes and yields nothing."""
    source = ShapesSource(0, seed=0)
    assert len(source) == 0
    assert source.image_sizes() == []
    assert list(source) == []
    with pytest.raises(IndexError):
        source[0]


@pytest.mark.parametrize("name", ["length", "seed", "max_objects"])
def test_negative_numbers_are_refused(name):
    """A negative count or seed is an error that names the argument."""
    values = {"length": 1, "seed": 0, "max_objects": 1, name: -1}
    with pytest.raises(InvalidValueError, match=name):
        ShapesSource(values.pop("length"), **values)


@pytest.mark.parametrize("lengths", [(0.0, 0.5), (0.6, 0.5), (0.5, 1.5)])
def test_lengths_that_are_no_range_are_refused(lengths):
    """Lengths are shares of the image side in ascending order."""
    with pytest.raises(InvalidValueError, match="lengths"):
        ShapesSource(1, seed=0, lengths=lengths)


@pytest.mark.parametrize("pattern", [-0.1, 1.5])
def test_a_pattern_that_is_no_share_is_refused(pattern):
    """The contrast of patterns is a share."""
    with pytest.raises(InvalidValueError, match="pattern"):
        ShapesSource(1, seed=0, pattern=pattern)


def test_pattern_changes_pixels_but_no_truth():
    """Fainter patterns leave every object where it is, and flatten the colours inside it."""
    loud, flat = (ShapesSource(8, seed=0, pattern=pattern) for pattern in (1.0, 0.0))
    spread = {1.0: 0.0, 0.0: 0.0}
    for one, other in zip(loud, flat, strict=True):
        assert one.instances.masks.equal(other.instances.masks)
        for pattern, sample in ((1.0, one), (0.0, other)):
            for mask in sample.instances.masks.data:
                spread[pattern] += sample.image[:, mask].float().std(dim=1).mean().item()
    assert spread[0.0] < 0.7 * spread[1.0]


def test_lengths_bound_the_objects():
    """The rotated box of every object is as long as `lengths` allows."""
    source = ShapesSource(20, size=ImageSize(100, 140), seed=0, lengths=(0.4, 0.6))
    longest = torch.cat([s.instances.extras["rotated_boxes"].cxcywha[:, 3] for s in source])
    assert longest.numel() > 20
    # float32 rounds the stored lengths
    assert 40 * (1 - 1e-6) <= longest.min()
    assert longest.max() <= 60 * (1 + 1e-6)


@given(st.floats(-1e4, 1e4))
def test_cos_sin_agree_with_the_c_library(angle_deg):
    """The portable cosine and sine agree with NumPy's."""
    # Reducing 1e4 degrees rounds the angle at 1e-12, in NumPy's radians as well as here.
    expected = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    np.testing.assert_allclose(cos_sin_deg(angle_deg), expected, rtol=0, atol=1e-11)


@given(st.integers(0, 2**64), st.integers(0, 2**64))
def test_draws_stay_in_their_range(seed, index):
    """Numbers lie in [low, high), whole numbers below their stop, grids in [0, 1]."""
    draws = Draws(seed, index)
    assert -3.0 <= draws.uniform(-3.0, 5.0) < 5.0
    assert 0 <= draws.integer(7) < 7
    grid = draws.grid(3, 5)
    assert grid.shape == (3, 5)
    assert 0 <= grid.min() <= grid.max() <= 1
