"""Which points learn which box: against a slow definition, and against torchvision's FCOS."""

import pytest
import torch
from torchvision.models.detection._utils import BoxLinearCoder

from geodet.errors import CompositionError
from geodet.models import AnchorGenerator, CentreMatcher, DistanceCoder

STRIDES = (8, 16, 32)


def _cells(offset=0.5, side=128):
    anchors = AnchorGenerator(
        sizes=[(s,) for s in STRIDES], aspect_ratios=(1.0,), strides=STRIDES, offset=offset
    )
    return anchors([(side // s, side // s) for s in STRIDES])


def _boxes(n, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator) * 90
    return torch.cat([corner, corner + 2 + 100 * torch.rand(n, 2, generator=generator) ** 2], 1)


def _by_definition(cells, boxes, radius, low, high):
    """Point by point and box by box."""
    targets, positive = [], []
    for level, rows in enumerate(cells):
        for x1, y1, x2, y2 in rows.tolist():
            x, y, stride = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1
            least = 0.0 if level == 0 else low * stride
            most = float("inf") if level == len(cells) - 1 else high * stride
            best = None
            for index, (left, top, right, bottom) in enumerate(boxes.tolist()):
                reach = (x - left, y - top, right - x, bottom - y)
                near = max(abs(x - (left + right) / 2), abs(y - (top + bottom) / 2))
                if min(reach) <= 0 or near >= radius * stride or not least < max(reach) < most:
                    continue
                area = (right - left) * (bottom - top)
                if best is None or area < best[0]:
                    best = (area, index)
            targets.append(0 if best is None else best[1])
            positive.append(best is not None)
    return torch.tensor(targets), torch.tensor(positive)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("radius", "low", "high"), [(1.5, 4.0, 8.0), (0.7, 1.0, 3.0)])
def test_matches_equal_the_definition(seed, radius, low, high):
    """Random boxes of all sizes over three levels."""
    cells, boxes = _cells(), _boxes(12, seed)
    targets, positive = CentreMatcher(radius, (low, high))(cells, boxes)
    wanted_targets, wanted_positive = _by_definition(cells, boxes, radius, low, high)
    assert wanted_positive.sum() > 5
    assert torch.equal(positive, wanted_positive)
    assert torch.equal(targets, wanted_targets)


def test_boxes_as_large_as_each_other_go_to_the_first():
    """Ties break by index."""
    box = torch.tensor([[40.0, 40.0, 80.0, 80.0]])
    targets, positive = CentreMatcher()(_cells(), box.repeat(3, 1))
    assert positive.any()
    assert not targets.any()


def test_no_box_and_no_point():
    """Everything negative, of the right shape."""
    targets, positive = CentreMatcher()(_cells(), torch.zeros(0, 4))
    assert targets.shape == positive.shape == (16 * 16 + 8 * 8 + 4 * 4,)
    assert not positive.any()
    targets, positive = CentreMatcher()([torch.zeros(0, 4)] * 3, _boxes(2, 0))
    assert targets.shape == positive.shape == (0,)


@pytest.mark.parametrize(
    "numbers", [{"radius": 0.0}, {"scale_range": (8.0, 4.0)}, {"scale_range": (-1.0, 4.0)}]
)
def test_numbers_that_match_nothing_are_refused(numbers):
    """At construction."""
    with pytest.raises(CompositionError, match="CentreMatcher"):
        CentreMatcher(**numbers)


@pytest.mark.parametrize("normalise", [True, False])
def test_distances_equal_torchvision(normalise):
    """Both directions, on squares and on negative distances."""
    coder, peer = DistanceCoder(normalise), BoxLinearCoder(normalize_by_size=normalise)
    references = torch.cat(_cells())[::7]
    boxes = _boxes(len(references), 1)
    distances = coder.encode(references, boxes)
    torch.testing.assert_close(distances, peer.encode(references, boxes))
    raw = torch.randn(len(references), 4, generator=torch.Generator().manual_seed(2)) * 3
    torch.testing.assert_close(coder.decode(references, raw), peer.decode(raw.relu(), references))


def test_distances_lead_back_to_the_box():
    """For points inside of it; also far beyond half precision, since decoding is in float32."""
    references = torch.tensor([[3000.0, 3000.0, 3008.0, 3008.0]])
    box = torch.tensor([[2900.5, 2999.25, 3100.0, 3010.0]])
    coder = DistanceCoder()
    torch.testing.assert_close(coder.decode(references, coder.encode(references, box)), box)
    half = coder.decode(references, torch.ones(1, 4, dtype=torch.bfloat16))
    assert half.tolist() == [[2996.0, 2996.0, 3012.0, 3012.0]]
    assert coder.decode(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0, 4)
