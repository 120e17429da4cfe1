"""Box coding: inverse of itself, equal to torchvision's, finite for any offsets."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder as TorchvisionCoder

from geodet.models import BoxCoder

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
