"""RoIAlign, upright and rotated, forward and backward, in both memory formats."""

from collections.abc import Callable, Iterator

import torch
import torchvision.ops as tv_ops
from box_cases import random_boxes
from scaled_peer import ScaledPeer
from timing import OURS, Comparison
from torch import Tensor

from geodet import ops

UPRIGHT = "torchvision roi_align, yardstick"

# Published medians in ms by cells a side and sampling ratio: Detectron2's rotated RoIAlign, and
# torchvision's upright one beside it.
FORWARD_MS = {(7, 0): (149, 164), (7, 2): (136, 152), (14, 0): (262, 299), (14, 2): (324, 376)}
BACKWARD_MS = {(7, 0): (605, 488), (7, 2): (475, 343)}

Pool = Callable[[Tensor], Tensor]


def cases() -> Iterator[tuple[str, Callable[[], Comparison]]]:
    """Name and builder of every comparison; inputs are made when it is its turn."""
    for side in (7, 14):
        for sampling in (0, 2):
            at = f"{side}x{side} s{sampling}"
            settings = (side, sampling)
            for memory_format in (torch.contiguous_format, torch.channels_last):
                last = " NHWC" if memory_format == torch.channels_last else ""
                yield f"roi_align {at}{last}", _forward(at + last, *settings, memory_format)
                yield (
                    f"roi_align backward {at}{last}",
                    _backward(at + last, *settings, memory_format),
                )
            yield f"roi_align_rotated {at}", _rotated(at, *settings)
            if settings in BACKWARD_MS:
                yield f"roi_align_rotated backward {at}", _rotated_backward(at, *settings)


def _inputs(memory_format: torch.memory_format = torch.contiguous_format) -> tuple[Tensor, Tensor]:
    """One stride-4 feature map [1, 256, 200, 304] and 512 regions of the image."""
    features = torch.randn(1, 256, 200, 304, generator=torch.Generator().manual_seed(4))
    rois = torch.cat([torch.zeros(512, 1), random_boxes(512, 4)], dim=1)
    return features.contiguous(memory_format=memory_format), rois


def _turned(rois: Tensor) -> Tensor:
    """The regions at random angles."""
    image, low, high = rois.split([1, 2, 2], dim=1)
    angles = 360 * torch.rand(len(rois), 1, generator=torch.Generator().manual_seed(5)) - 180
    return torch.cat([image, (low + high) / 2, high - low, angles], dim=1)


def _close(ours: object, theirs: object) -> bool:
    return torch.allclose(torch.as_tensor(ours), torch.as_tensor(theirs).to(ours), atol=2e-4)


def _ours(rois: Tensor, side: int, sampling: int) -> Pool:
    operator = ops.roi_align_rotated if rois.shape[1] == 6 else ops.roi_align
    options = {"spatial_scale": 0.25, "sampling_ratio": sampling}
    return lambda features: operator(features, rois, (side, side), **options)


def _torchvisions(rois: Tensor, side: int, sampling: int) -> Pool:
    return lambda features: tv_ops.roi_align(
        features, rois, (side, side), 0.25, sampling, aligned=True
    )


def _gradient_of(pool: Pool, features: Tensor) -> Callable[[], Tensor]:
    """The backward pass alone."""
    leaf = features.detach().requires_grad_()
    output = pool(leaf)
    grad = torch.randn(output.shape, generator=torch.Generator().manual_seed(5))
    return lambda: torch.autograd.grad(output, leaf, grad, retain_graph=True)[0]


def _forward(
    at: str, side: int, sampling: int, memory_format: torch.memory_format
) -> Callable[[], Comparison]:
    def build() -> Comparison:
        features, rois = _inputs(memory_format)
        ours, theirs = _ours(rois, side, sampling), _torchvisions(rois, side, sampling)
        return Comparison(
            name=f"roi_align {at}",
            ways={OURS: lambda: ours(features), "torchvision": lambda: theirs(features)},
            agree=_close,
        )

    return build


def _backward(
    at: str, side: int, sampling: int, memory_format: torch.memory_format
) -> Callable[[], Comparison]:
    def build() -> Comparison:
        features, rois = _inputs(memory_format)
        return Comparison(
            name=f"roi_align backward {at}",
            ways={
                OURS: _gradient_of(_ours(rois, side, sampling), features),
                "torchvision": _gradient_of(_torchvisions(rois, side, sampling), features),
            },
            # Sums of hundreds of terms in another order.
            agree=lambda a, b: torch.allclose(a, b, rtol=1e-3, atol=1e-2),
        )

    return build


def _detectron2(published_ms: tuple[float, float]) -> tuple[ScaledPeer, ...]:
    return (
        ScaledPeer(
            name="Detectron2, scaled",
            reference_ms=published_ms[0],
            yardstick=UPRIGHT,
            yardstick_reference_ms=published_ms[1],
        ),
    )


def _rotated(at: str, side: int, sampling: int) -> Callable[[], Comparison]:
    def build() -> Comparison:
        features, rois = _inputs()
        ours, upright = _ours(_turned(rois), side, sampling), _torchvisions(rois, side, sampling)
        return Comparison(
            name=f"roi_align_rotated {at}",
            ways={OURS: lambda: ours(features), UPRIGHT: lambda: upright(features)},
            agree=_close,
            scaled=_detectron2(FORWARD_MS[side, sampling]),
        )

    return build


def _rotated_backward(at: str, side: int, sampling: int) -> Callable[[], Comparison]:
    def build() -> Comparison:
        features, rois = _inputs()
        return Comparison(
            name=f"roi_align_rotated backward {at}",
            ways={
                OURS: _gradient_of(_ours(_turned(rois), side, sampling), features),
                UPRIGHT: _gradient_of(_torchvisions(rois, side, sampling), features),
            },
            agree=_close,
            scaled=_detectron2(BACKWARD_MS[side, sampling]),
        )

    return build
