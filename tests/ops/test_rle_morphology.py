"""Dilation, erosion, boundaries, padding and complement of run lengths."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis.extra import numpy as hnp

from geodet import errors, ops
from geodet.ops.reference import rle_shapes as reference

sides = st.integers(1, 12)
mask_batches = st.tuples(st.integers(0, 4), sides, sides).flatmap(
    lambda shape: hnp.arrays(np.bool_, shape, elements=st.booleans(), fill=st.booleans())
)
neighbourhoods = st.sampled_from(["square", "diamond", "disk"])
radii = st.integers(0, 5)
CHESS = np.indices((7, 6)).sum(axis=0)[None] % 2 == 0


@pytest.fixture(params=[1, 2])
def threads(request):
    """Number of threads that kernels may use."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def encode(masks):
    """Runs of a NumPy stack."""
    return ops.rle_encode(torch.from_numpy(masks.copy()))


def equal(a, b):
    """Whether two batches are the same runs."""
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


def mapped(function, masks, *arguments, **options):
    """A reference on every mask of a stack."""
    return np.array([function(mask, *arguments, **options) for mask in masks], dtype=bool).reshape(
        masks.shape
    )


def structure(radius, neighbourhood):
    """The neighbourhood as SciPy wants it."""
    side = range(-radius, radius + 1)
    near = reference.is_near_reference
    return np.array([[near(x, y, radius, neighbourhood) for x in side] for y in side])


@given(mask_batches, radii, neighbourhoods, st.booleans())
@example(CHESS, 1, "diamond", False)
def test_dilation_and_erosion_equal_their_specification(masks, radius, neighbourhood, outside):
    """Every pixel looks at all pixels near it."""
    size = masks.shape[1:]
    for operator, slow in (
        (ops.rle_dilate, reference.dilate_reference),
        (ops.rle_erode, reference.erode_reference),
    ):
        result = operator(*encode(masks), size, radius, neighbourhood, outside=outside)
        expected = mapped(slow, masks, radius, neighbourhood, outside=outside)
        assert equal(result, encode(expected))


@given(mask_batches, radii, neighbourhoods, st.booleans())
def test_dilation_and_erosion_equal_scipy(masks, radius, neighbourhood, outside):
    """SciPy with the same structuring element and border."""
    ndimage = pytest.importorskip("scipy.ndimage")
    size = masks.shape[1:]
    element = structure(radius, neighbourhood)
    for operator, theirs in (
        (ops.rle_dilate, ndimage.binary_dilation),
        (ops.rle_erode, ndimage.binary_erosion),
    ):
        result = operator(*encode(masks), size, radius, neighbourhood, outside=outside)
        expected = mapped(theirs, masks, element, border_value=outside)
        assert equal(result, encode(expected))


@given(mask_batches, radii, neighbourhoods, st.booleans())
def test_erosion_is_dilation_of_what_is_not_set(masks, radius, neighbourhood, outside):
    """Duality: the complement of an erosion is the dilation of the complement."""
    size = masks.shape[1:]
    batch = encode(masks)

    eroded = ops.rle_erode(*batch, size, radius, neighbourhood, outside=outside)
    grown = ops.rle_dilate(
        *ops.rle_complement(*batch), size, radius, neighbourhood, outside=not outside
    )

    assert equal(ops.rle_complement(*eroded), grown)


@given(mask_batches, st.integers(0, 3), st.integers(0, 3), st.sampled_from(["square", "diamond"]))
def test_radii_of_squares_and_diamonds_add(masks, first, second, neighbourhood):
    """Two dilations are one by the sum of the radii."""
    size = masks.shape[1:]
    batch = encode(masks)

    once = ops.rle_dilate(*batch, size, first + second, neighbourhood)
    twice = ops.rle_dilate(*batch, size, first, neighbourhood)
    twice = ops.rle_dilate(*twice, size, second, neighbourhood)

    assert equal(once, twice)


@given(mask_batches, radii)
def test_boundary_is_what_erosion_takes_away(masks, radius):
    """Pixels of the mask near a pixel outside of it; the border of the image counts."""
    result = ops.rle_boundary(*encode(masks), masks.shape[1:], radius)

    assert equal(result, encode(mapped(reference.boundary_reference, masks, radius)))


@pytest.mark.parametrize("size", [(480, 640), (800, 1333), (7, 5), (1, 1), (1024, 2048), (0, 0)])
def test_boundary_radius_is_two_percent_of_the_diagonal(size):
    """Rounded as Python rounds, at least 1; the published tool computes the same number."""
    height, width = size
    theirs = max(1, round(0.02 * np.sqrt(height**2 + width**2)))
    assert ops.boundary_radius(size) == theirs


def test_huge_radii_fill_or_empty_the_image():
    """A radius far beyond the image costs no more than one as long as its sides."""
    masks = np.zeros((2, 9, 13), dtype=bool)
    masks[1, 4, 5] = True
    batch = encode(masks)
    for neighbourhood in ("square", "diamond", "disk"):
        for radius in (50, 2**31, 10**18):
            grown = ops.rle_dilate(*batch, (9, 13), radius, neighbourhood)
            assert ops.rle_area(*grown).tolist() == [0, 9 * 13]
            shrunk = ops.rle_erode(
                *ops.rle_complement(*batch), (9, 13), radius, neighbourhood, outside=True
            )
            assert ops.rle_area(*shrunk).tolist() == [9 * 13, 0]


@pytest.mark.usefixtures("threads")
def test_large_masks_equal_scipy_on_any_number_of_threads():
    """Noise and a disk of the size of images, where stretches are many."""
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:150, 0:201]
    masks = np.stack(
        [rng.random((150, 201)) < p for p in (0.01, 0.5, 0.98)] + [np.hypot(x - 90, y - 70) < 60]
    )
    for radius, neighbourhood in ((1, "square"), (2, "square"), (7, "square"), (6, "disk")):
        expected = encode(mapped(ndimage.binary_dilation, masks, structure(radius, neighbourhood)))
        grown = ops.rle_dilate(*encode(masks), (150, 201), radius, neighbourhood)
        assert equal(grown, expected)


@given(mask_batches)
def test_complement_inverts_every_pixel(masks):
    """Complement twice is the mask; mask and complement do not overlap."""
    batch = encode(masks)
    complement = ops.rle_complement(*batch)
    assert equal(complement, encode(~masks))
    assert equal(ops.rle_complement(*complement), batch)


@given(mask_batches, st.tuples(*[st.integers(0, 4)] * 4))
def test_padding_equals_its_specification_and_cropping_undoes_it(masks, padding):
    """Empty pixels on each side, which a crop takes away again."""
    height, width = masks.shape[1:]
    left, top, right, bottom = padding
    batch = encode(masks)

    padded = ops.rle_pad(*batch, (height, width), padding)

    new = (top + height + bottom, left + width + right)
    expected = [reference.pad_reference(mask, padding) for mask in masks]
    assert equal(padded, encode(np.array(expected, dtype=bool).reshape(len(masks), *new)))
    window = (left, top, left + width, top + height)
    assert equal(ops.rle_crop(*padded, new, window), batch)


def test_nothing_stays_nothing():
    """No masks, and masks without pixels."""
    for shape in [(0, 3, 4), (2, 0, 4), (2, 3, 0)]:
        masks = np.zeros(shape, dtype=bool)
        batch, size = encode(masks), shape[1:]
        for operator in (ops.rle_dilate, ops.rle_erode, ops.rle_boundary):
            assert equal(operator(*batch, size, 2), batch)
        assert equal(ops.rle_complement(*batch), batch)
        padded = np.zeros((shape[0], shape[1] + 6, shape[2] + 4), dtype=bool)
        assert equal(ops.rle_pad(*batch, size, (1, 2, 3, 4)), encode(padded))


def test_wrong_arguments_are_errors():
    """Radii, neighbourhoods, paddings and sizes that mean nothing."""
    batch = encode(np.ones((2, 3, 4), dtype=bool))
    for radius in (-1, 1.5, float("nan"), "2"):
        with pytest.raises(errors.InvalidValueError, match="radius: expected a whole number"):
            ops.rle_dilate(*batch, (3, 4), radius)
    with pytest.raises(errors.InvalidValueError, match="neighbourhood: expected one of square"):
        ops.rle_erode(*batch, (3, 4), 1, "cube")
    with pytest.raises(errors.InvalidValueError, match="padding: expected left, top"):
        ops.rle_pad(*batch, (3, 4), (0, -1, 0, 0))
    with pytest.raises(errors.InvalidValueError, match="size_hw with padding"):
        ops.rle_pad(*batch, (3, 4), (0, 0, 2**31, 0))
    with pytest.raises(errors.InvalidValueError, match="add up to 15 pixels, got 12"):
        ops.rle_boundary(*batch, (3, 5), 1)


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    batch = encode(CHESS)
    library = torch.ops.geodet
    torch.library.opcheck(library.rle_morphology, (*batch, 7, 6, 2, "disk", True))
    torch.library.opcheck(library.rle_complement, batch)
    torch.library.opcheck(library.rle_pad, (*batch, 7, 6, 1, 2, 3, 4))


@pytest.mark.cuda
def test_cuda_says_where_to_go(cuda):
    """Run lengths on a GPU are refused with the way to the CPU."""
    there = [tensor.to(cuda) for tensor in encode(CHESS)]
    for call in (
        lambda: ops.rle_dilate(*there, (7, 6), 1),
        lambda: ops.rle_complement(*there),
        lambda: ops.rle_pad(*there, (7, 6), (1, 1, 1, 1)),
    ):
        with pytest.raises(errors.BackendError, match="CPU"):
            call()
