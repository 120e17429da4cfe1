"""Box coding: inverse of itself, equal to torchvision's, finite for any offsets."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder as TorchvisionCoder

from geodet.models import BoxCoder, RotatedBoxCoder
from geodet.structures import Boxes, RotatedBoxes

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def _random_boxes(n, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator) * 500
    return torch.cat([corner, corner + 1 + torch.rand(n, 2, generator=generator) * 200], dim=1)


@given(seed=st.integers(0, 2**31), n=st.integers(0, 20))
def test_decoding_undoes_encoding(seed, n):
    """Offsets lead back to the box they were made from."""
    references, boxes = _random_boxes(n, seed), _random_boxes(n, seed + 1)
    coder = BoxCoder(WEIGHTS, max_log_scale=10.0)
    decoded = coder.decode(references, coder.encode(references, boxes))
    torch.testing.assert_close(decoded, boxes, rtol=1e-4, atol=1e-3)  # float32 at 700 px


def test_both_directions_equal_torchvision():
    """Same weights, same clamp, same numbers; several classes per reference."""
    references, boxes = _random_boxes(50, 0), _random_boxes(50, 1)
    ours, peer = BoxCoder(WEIGHTS), TorchvisionCoder(WEIGHTS)
    deltas = ours.encode(references, boxes)
    torch.testing.assert_close(deltas, peer.encode([boxes], [references])[0])
    many = torch.randn(50, 12, generator=torch.Generator().manual_seed(2)) * 20
    wanted = peer.decode(many, [references])
    torch.testing.assert_close(ours.decode(references, many).view(50, 3, 4), wanted)


def test_growth_is_clamped():
    """An absurd offset grows a box by 1000 / 16, not to infinity."""
    box = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    decoded = BoxCoder().decode(box, torch.tensor([[0.0, 0.0, 1e4, 1e4]]))
    torch.testing.assert_close(decoded, torch.tensor([[-492.0, -492.0, 508.0, 508.0]]))
    assert BoxCoder().max_log_scale == pytest.approx(math.log(62.5))


def test_half_precision_offsets_decode_in_float32():
    """Coordinates of a thousand pixels do not fit 16 bits."""
    references = _random_boxes(5, 3)
    assert BoxCoder().decode(references, torch.zeros(5, 4).half()).dtype == torch.float32
    deltas = torch.zeros(5, 4).half()
    torch.testing.assert_close(BoxCoder().decode(references, deltas), references)


def test_no_boxes_stay_no_boxes():
    """Empty in, empty out, with and without classes."""
    none = torch.zeros(0, 4)
    assert BoxCoder().encode(none, none).shape == (0, 4)
    assert BoxCoder().decode(none, torch.zeros(0, 12)).shape == (0, 12)


def _turned(n, seed):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.rand(n, 5, generator=generator)
    scale = torch.tensor([500.0, 500.0, 200.0, 200.0, 900.0])
    return numbers * scale + torch.tensor([0.0, 0.0, 1.0, 1.0, -450.0])


@given(seed=st.integers(0, 2**31), n=st.integers(0, 20))
def test_decoding_undoes_encoding_of_rotated_boxes(seed, n):
    """Same place, size and orientation; the angle comes back in [-180, 180)."""
    references, boxes = _turned(n, seed), _turned(n, seed + 1)
    coder = RotatedBoxCoder((10.0, 10.0, 5.0, 5.0, 1.0), max_log_scale=10.0)
    deltas = coder.encode(references, boxes)
    assert (deltas[:, 4].abs() <= math.pi + 1e-5).all()
    decoded = coder.decode(references, deltas)
    torch.testing.assert_close(decoded[:, :4], boxes[:, :4], rtol=1e-4, atol=1e-3)
    assert ((decoded[:, 4] >= -180) & (decoded[:, 4] < 180)).all()
    turn = torch.remainder(decoded[:, 4] - boxes[:, 4] + 180, 360) - 180
    assert (turn.abs() < 1e-3).all()


def test_rotated_offsets_by_hand():
    """Shifts along the axes of the image; the turn in radians the short way round."""
    reference = torch.tensor([[100.0, 50.0, 20.0, 40.0, 170.0]])
    box = torch.tensor([[110.0, 30.0, 40.0, 20.0, -160.0]])
    wanted = [2 * 0.5, 3 * -0.5, 4 * math.log(2), 5 * -math.log(2), 6 * math.pi / 6]
    deltas = RotatedBoxCoder((2.0, 3.0, 4.0, 5.0, 6.0)).encode(reference, box)
    torch.testing.assert_close(deltas, torch.tensor([wanted]))


def test_rotated_offsets_of_several_classes_decode_in_float32():
    """Class by class, five numbers each, from 16-bit offsets too."""
    references = _turned(6, 0)
    deltas = torch.randn(6, 15, generator=torch.Generator().manual_seed(1))
    coder = RotatedBoxCoder((10.0, 10.0, 5.0, 5.0, 1.0))
    together = coder.decode(references, deltas).view(6, 3, 5)
    for i in range(3):
        torch.testing.assert_close(
            together[:, i], coder.decode(references, deltas[:, 5 * i : 5 * i + 5])
        )
    assert coder.decode(references, deltas.half()).dtype == torch.float32


def test_a_rotated_box_without_a_turn_moves_like_an_upright_one():
    """At angle 0 the first four offsets are those of BoxCoder."""
    references, boxes = _random_boxes(20, 0), _random_boxes(20, 1)
    weights = (10.0, 10.0, 5.0, 5.0)
    upright = BoxCoder(weights).encode(references, boxes)
    turned = RotatedBoxCoder((*weights, 1.0)).encode(
        *(RotatedBoxes.from_boxes(Boxes(b)).cxcywha for b in (references, boxes))
    )
    torch.testing.assert_close(turned[:, :4], upright, rtol=1e-4, atol=1e-3)
    assert not turned[:, 4].any()
