"""Laws of the geometric transforms, on pictures and on every structure at once."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures import BitMasks, Boxes, ImageSize, Instances, Keypoints, SemanticMap
from geodet.structures._table import Table
from geodet.transforms import (
    Brightness,
    Compose,
    HorizontalFlip,
    Identity,
    Resize,
    Transform,
    VerticalFlip,
)

seeds = st.integers(0, 2**32)
counts = st.integers(0, 4)
sizes = st.builds(ImageSize, st.integers(1, 24), st.integers(1, 24))
flips = st.sampled_from([HorizontalFlip, VerticalFlip])


@st.composite
def chains(draw, size=None):
    """One to three transforms that fit each other."""
    size = draw(sizes) if size is None else size
    chain = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from([Identity, HorizontalFlip, VerticalFlip, Resize, Brightness]))
        if kind is Resize:
            chain.append(Resize(size, draw(sizes)))
            size = chain[-1].target
        else:
            chain.append(kind(size, 1.5) if kind is Brightness else kind(size))
    return tuple(chain)


def _assert_same_instances(first, second, **tolerance):
    assert first.columns().keys() == second.columns().keys()
    assert first.image_size == second.image_size
    for name, column in first.columns().items():
        other = second.columns()[name]
        if isinstance(column, Table):
            same = column.allclose(other, **tolerance) if tolerance else column.equal(other)
            assert same, name
        else:
            assert torch.equal(column, other), name


@given(flips, sizes, counts, seeds)
def test_flipping_twice_is_the_identity(make, flip, size, count, seed):
    """A flip is its own inverse: no bit of a picture, column or map differs after two."""
    rng = np.random.default_rng(seed)
    transform = flip(size)
    assert transform.inverse() == transform
    image = make.image(rng, size)
    assert torch.equal(transform.apply_image(transform.apply_image(image)), image)
    rows = make.instances(rng, size, count)
    _assert_same_instances(transform.apply_instances(transform.apply_instances(rows)), rows)
    panoptic = make.panoptic(rng, size)
    twice = transform.apply_panoptic(transform.apply_panoptic(panoptic))
    assert torch.equal(twice.ids, panoptic.ids)
    assert twice.segments == panoptic.segments


@given(sizes, counts, seeds)
def test_identity_changes_no_bit(make, size, count, seed):
    """Identity, and Resize to the same size, hand on equal pictures, columns and maps."""
    rng = np.random.default_rng(seed)
    image, panoptic = make.image(rng, size), make.panoptic(rng, size)
    rows = make.instances(rng, size, count)
    for transform in (Identity(size), Resize(size, size)):
        assert torch.equal(transform.apply_image(image), image)
        _assert_same_instances(transform.apply_instances(rows), rows)
        assert torch.equal(transform.apply_panoptic(panoptic).ids, panoptic.ids)


@given(sizes, sizes, counts, seeds)
def test_resizing_back_restores_coordinates(make, source, target, count, seed):
    """The inverse of a resize takes boxes, points and polygons back, and soft masks with them."""
    rows = make.instances(np.random.default_rng(seed), source, count)
    # Hard masks lose pixels when they shrink, rotated boxes their right angles when stretched.
    extras = {
        name: rows.extras[name] for name in ("row", "proposals", "outlines", "soft", "points")
    }
    rows = rows.with_(masks=None, extras=extras)
    resize = Resize(source, target)
    back = resize.inverse().apply_instances(resize.apply_instances(rows))
    # float32 coordinates up to 30 pixels through two products: a few times 30 * 2^-24.
    _assert_same_instances(back, rows, rtol=1e-5, atol=1e-5)


@given(sizes, st.integers(1, 4), counts, seeds)
def test_resizing_in_proportion_and_back_restores_rotated_boxes(make, source, factor, count, seed):
    """With equal factors a rotated box stays one: centre, sides and angle come back."""
    target = ImageSize(source.height * factor, source.width * factor)
    boxes = make.instances(np.random.default_rng(seed), source, count).extras["rotated"]
    resize = Resize(source, target)
    back = resize.inverse().apply_rotated_boxes(resize.apply_rotated_boxes(boxes))
    assert back.allclose(boxes, rtol=1e-5, atol=1e-4)  # degrees and pixels in float32


@given(sizes, st.integers(1, 4), seeds)
def test_enlarging_masks_by_whole_factors_is_undone(make, source, factor, seed):
    """Nearest resampling repeats every pixel `factor` times, and shrinking takes one of each."""
    target = ImageSize(source.height * factor, source.width * factor)
    masks = make.instances(np.random.default_rng(seed), source, 2).masks
    large = Resize(source, target).apply_masks(masks)
    repeated = np.repeat(np.repeat(masks.data.numpy(), factor, axis=1), factor, axis=2)
    assert np.array_equal(large.data.numpy(), repeated)
    assert Resize(target, source).apply_masks(large).equal(masks)


@given(flips, sizes, counts, seeds)
def test_flips_of_masks_and_of_their_boxes_commute(make, flip, size, count, seed):
    """The boxes of flipped masks are the flipped boxes of the masks, for bits and for runs."""
    rows = make.instances(np.random.default_rng(seed), size, count)
    transform = flip(size)
    for masks in (rows.masks, rows.extras["runs"]):
        full = masks[masks.area() > 0]  # an empty mask has no place
        assert transform.apply_masks(full).boxes().equal(transform.apply_boxes(full.boxes()))


@given(chains(), counts, seeds)
def test_masks_of_all_kinds_agree_after_any_chain(make, chain, count, seed):
    """Run lengths changed are the runs of the changed bits."""
    transform = Compose(chain)
    rows = transform.apply_instances(
        make.instances(np.random.default_rng(seed), transform.source, count)
    )
    assert rows.extras["runs"].to_bit_masks().equal(rows.masks)


@given(chains(), st.data(), counts, seeds)
def test_composition_is_associative_and_is_one_after_the_other(make, chain, data, count, seed):
    """However a chain is grouped, it is the same transform, and equals applying each in turn."""
    cut = data.draw(st.integers(0, len(chain)))
    groups = [Compose(group) for group in (chain[:cut], chain[cut:]) if group]
    whole = Compose(chain)
    assert Compose(tuple(groups)) == whole
    assert hash(Compose(tuple(groups))) == hash(whole)
    assert (whole.source, whole.target) == (chain[0].source, chain[-1].target)
    rng = np.random.default_rng(seed)
    image, panoptic = make.image(rng, whole.source), make.panoptic(rng, whole.source)
    rows = make.instances(rng, whole.source, count)
    expected = image, rows, panoptic
    for transform in chain:
        expected = (
            transform.apply_image(expected[0]),
            transform.apply_instances(expected[1]),
            transform.apply_panoptic(expected[2]),
        )
    assert torch.equal(whole.apply_image(image), expected[0])
    _assert_same_instances(whole.apply_instances(rows), expected[1])
    assert torch.equal(whole.apply_panoptic(panoptic).ids, expected[2].ids)


@given(chains(), seeds)
def test_maps_of_classes_move_as_panoptic_maps(make, chain, seed):
    """Any chain gives each pixel the class of the segment it gives it; other sizes are refused."""
    transform = Compose(chain)
    panoptic = make.panoptic(np.random.default_rng(seed), transform.source)
    moved = transform.apply_semantic(SemanticMap.from_panoptic(panoptic))
    assert moved.image_size == transform.target
    assert moved.equal(SemanticMap.from_panoptic(transform.apply_panoptic(panoptic)))
    with pytest.raises(ShapeError, match=r"semantic\.labels"):
        transform.apply_semantic(moved.pad(0, 0, 99, 0))


@given(chains(), counts, seeds)
def test_the_inverse_of_a_chain_takes_boxes_back(make, chain, count, seed):
    """The inverses in the opposite order undo the coordinates, and start where the chain ends."""
    transform = Compose(chain)
    inverse = transform.inverse()
    assert (inverse.source, inverse.target) == (transform.target, transform.source)
    boxes = make.instances(np.random.default_rng(seed), transform.source, count).boxes
    back = inverse.apply_boxes(transform.apply_boxes(boxes))
    # Up to 36 px, enlarged up to 24 times three times over, in float32.
    assert back.allclose(boxes, rtol=1e-4, atol=1e-4)


@given(chains(), st.integers(1, 4), st.data(), seeds)
def test_rows_stay_aligned(make, chain, count, data, seed):
    """Choosing rows and changing them commute; labels, scores and plain extras are handed on."""
    transform = Compose(chain)
    rows = make.instances(np.random.default_rng(seed), transform.source, count)
    index = torch.tensor(data.draw(st.lists(st.integers(0, count - 1), max_size=5))).long()
    changed = transform.apply_instances(rows)
    _assert_same_instances(transform.apply_instances(rows[index]), changed[index])
    assert changed.image_size == transform.target
    for name in ("labels", "scores", "is_crowd"):
        assert torch.equal(getattr(changed, name), getattr(rows, name))
    assert torch.equal(changed.extras["row"], rows.extras["row"])


@given(flips, sizes, seeds)
def test_flips_agree_with_numpy(make, flip, size, seed):
    """Pictures, bits and panoptic maps flip as numpy arrays do."""
    rng = np.random.default_rng(seed)
    oracle, transform = {HorizontalFlip: np.fliplr, VerticalFlip: np.flipud}[flip], flip(size)
    image, panoptic = make.image(rng, size), make.panoptic(rng, size)
    masks = make.instances(rng, size, 2).masks
    for plane, flipped in zip(image, transform.apply_image(image), strict=True):
        assert np.array_equal(oracle(plane.numpy()), flipped.numpy())
    for plane, flipped in zip(masks.data, transform.apply_masks(masks).data, strict=True):
        assert np.array_equal(oracle(plane.numpy()), flipped.numpy())
    assert np.array_equal(
        oracle(panoptic.ids.numpy()), transform.apply_panoptic(panoptic).ids.numpy()
    )


@given(sizes, sizes, counts, seeds)
def test_boxes_agree_with_torchvision(make, source, target, count, seed):
    """Flips and resizes of boxes are those of torchvision's version 2 transforms."""
    v2 = pytest.importorskip("torchvision.transforms.v2.functional")
    boxes = make.instances(np.random.default_rng(seed), source, count).boxes
    hull, pair = boxes.xyxy, tuple(source)
    kind = pytest.importorskip("torchvision.tv_tensors").BoundingBoxFormat.XYXY
    expected = v2.horizontal_flip_bounding_boxes(hull, format=kind, canvas_size=pair)
    assert torch.equal(HorizontalFlip(source).apply_boxes(boxes).xyxy, expected)
    expected = v2.vertical_flip_bounding_boxes(hull, format=kind, canvas_size=pair)
    assert torch.equal(VerticalFlip(source).apply_boxes(boxes).xyxy, expected)
    expected, _ = v2.resize_bounding_boxes(
        hull, format=kind, canvas_size=pair, size=list(target), clamping_mode=None
    )
    found = Resize(source, target).apply_boxes(boxes).xyxy
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@given(flips, sizes, counts, seeds)
def test_flips_exchange_left_and_right_points(make, flip, size, count, seed):
    """The left hand of the mirror image is the mirrored right hand."""
    points = make.instances(np.random.default_rng(seed), size, count).keypoints
    found = flip(size).apply_keypoints(points).xyv
    expected = points.xyv.clone()
    seen = expected[:, :, 2] > 0  # what is not labelled has no place to move from
    axis, span = (0, size.width) if flip is HorizontalFlip else (1, size.height)
    expected[:, :, axis] = torch.where(seen, span - expected[:, :, axis], expected[:, :, axis])
    assert torch.equal(found, expected[:, [0, 2, 1, 4, 3]])


@given(chains(), counts, seeds)
def test_points_move_with_boxes(make, chain, count, seed):
    """A corner of a box and a keypoint on it stay on each other through any chain."""
    transform = Compose(chain)
    rows = make.instances(np.random.default_rng(seed), transform.source, count)
    skeleton = rows.keypoints.skeleton
    xy = rows.boxes.xyxy[:, None, :2].expand(-1, len(skeleton), -1)
    points = Keypoints(torch.cat((xy, torch.ones_like(xy[:, :, :1])), dim=2), skeleton)
    moved = transform.apply_keypoints(points).xyv[:, 0, :2]
    corners = transform.apply_boxes(rows.boxes).xyxy.reshape(-1, 2, 2)
    spread = (corners - moved[:, None]).abs().amin(dim=1)  # left or right, top or bottom
    assert (spread <= 1e-3).all()


def test_two_flips_are_half_a_turn():
    """Mirroring both ways exchanges no sides: left hands stay left hands."""
    size = ImageSize(4, 6)
    turn = Compose((HorizontalFlip(size), VerticalFlip(size)))
    image = torch.arange(24, dtype=torch.uint8).reshape(1, 4, 6)
    assert torch.equal(turn.apply_image(image), torch.rot90(image, 2, (1, 2)))
    boxes = turn.apply_boxes(Boxes(torch.tensor([[0.0, 1.0, 2.0, 3.0]])))
    assert torch.equal(boxes.xyxy, torch.tensor([[4.0, 1.0, 6.0, 3.0]]))


def test_compositions_that_do_not_fit_are_refused():
    """Both neighbours are named; an empty or untyped composition is refused too."""
    small, large = ImageSize(4, 4), ImageSize(8, 8)
    with pytest.raises(ShapeError, match=r"HorizontalFlip at 1 .* Resize before"):
        Compose((Resize(small, large), HorizontalFlip(small)))
    with pytest.raises(InvalidValueError, match="Identity"):
        Compose(())
    with pytest.raises(DtypeError, match="expected Transform, got str"):
        Compose(("flip",))


def test_inputs_of_another_size_are_refused():
    """A picture, masks, table or map of another size is an error that states both sizes."""
    flip = HorizontalFlip(ImageSize(4, 6))
    with pytest.raises(ShapeError, match=r"image: expected \[c, 4, 6\], got \[3, 6, 4\]"):
        flip.apply_image(torch.zeros(3, 6, 4))
    with pytest.raises(ShapeError, match=r"masks.image_size: expected 4 x 6 .* got 6 x 4"):
        flip.apply_masks(BitMasks.empty(ImageSize(6, 4)))
    with pytest.raises(ShapeError, match=r"instances.image_size"):
        flip.apply_instances(Instances.empty(ImageSize(6, 4)))


def test_an_unknown_structure_is_refused(make):
    """A structure that no transform knows is named instead of being handed on unchanged."""
    panoptic = make.panoptic(np.random.default_rng(0), ImageSize(4, 6))
    with pytest.raises(DtypeError, match=r"outline: .* PanopticSegmentation"):
        HorizontalFlip(ImageSize(4, 6))._structure("outline", panoptic)


@given(chains())
def test_transforms_are_values(chain):
    """Transforms compare, hash and pickle by value."""
    transform = Compose(chain)
    copy = pickle.loads(pickle.dumps(transform))  # noqa: S301 - our own bytes
    assert isinstance(copy, Transform)
    assert copy == transform
    assert hash(copy) == hash(transform)
    assume(chain[0].source.height > 1)
    assert Compose((Resize(ImageSize(1, 1), transform.source), *chain)) != transform
