"""Figures of a peer that does not install here, carried over from the machine that measured them.

Detectron2 0.6 does not build as it stands today. Its times were measured once, on 2 cores of an AMD
EPYC (Zen 5) with torch 2.15, together with torchvision's of the same operators. A comparison that
names a `ScaledPeer` also times a yardstick, a call of torchvision whose time is known from that
machine, and multiplies the published figure by how much slower or faster the yardstick is now:

    peer now = peer there * yardstick now / yardstick there

That is a figure to judge orders of magnitude by, not a measurement, and every line says so.
"""

from collections.abc import Callable, Mapping

import attrs
import torch
import torchvision.ops as tv_ops
from torch import Tensor

NMS_YARDSTICK = "torchvision nms 5000, yardstick"
NMS_YARDSTICK_REFERENCE_MS = 11.7 + 33.9  # at thresholds 0.5 and 0.7


@attrs.frozen(kw_only=True)
class ScaledPeer:
    """A peer whose time comes from another machine.

    Attributes:
        name: shown in the table; ends in "scaled" by convention.
        reference_ms: its median on the reference machine.
        yardstick: the name of a way of the same comparison that ran on both machines; it is timed
            in turn with the others and left out of the table.
        yardstick_reference_ms: that way's median on the reference machine.
    """

    name: str
    reference_ms: float
    yardstick: str
    yardstick_reference_ms: float

    def now_ms(self, medians: Mapping[str, float]) -> float:
        """Milliseconds that the peer would take here, from the medians of this run."""
        return scaled_ms(self.reference_ms, self.yardstick_reference_ms, medians[self.yardstick])


def scaled_ms(reference_ms: float, yardstick_reference_ms: float, yardstick_ms: float) -> float:
    """Carry a time over: `reference_ms` times how much longer the yardstick takes now."""
    return reference_ms * yardstick_ms / yardstick_reference_ms


def nms_yardstick() -> Callable[[], object]:
    """Torchvision's NMS of 5,000 boxes at 0.5 and at 0.7, one after the other.

    The boxes of the published figures are not recorded. These, about 20 around each object, give
    the same growth from 1,000 boxes to 5,000 and from 0.5 to 0.7 as the published times, to within
    a third; the sum of both thresholds evens that out.
    """
    boxes, scores = _boxes_around_objects(5_000, per_object=20)
    return lambda: [tv_ops.nms(boxes, scores, threshold) for threshold in (0.5, 0.7)]


def detectron2(reference_ms: float) -> ScaledPeer:
    """Detectron2's published time of one operator, on the NMS yardstick."""
    return ScaledPeer(
        name="Detectron2, scaled",
        reference_ms=reference_ms,
        yardstick=NMS_YARDSTICK,
        yardstick_reference_ms=NMS_YARDSTICK_REFERENCE_MS,
    )


def _boxes_around_objects(count: int, per_object: int) -> tuple[Tensor, Tensor]:
    """Jittered copies of random boxes (a tenth of their sides), and scores."""
    rng = torch.Generator().manual_seed(2)
    objects = count // per_object
    sides = 10 + 290 * torch.rand(objects, 2, generator=rng)
    corners = torch.rand(objects, 2, generator=rng) * (torch.tensor([1333, 800]) - sides)
    chosen = torch.randint(objects, (count,), generator=rng)
    boxes = torch.stack([corners, corners + sides], 1)[chosen]
    jitter = 0.1 * sides[chosen][:, None] * torch.randn(count, 2, 2, generator=rng)
    low, high = (boxes + jitter).sort(dim=1).values.unbind(1)
    return torch.cat([low, high], 1), torch.rand(count, generator=rng)
