"""Every public operator with wrong arguments: an error of geodet that names it, never a crash.

Each test spoils one argument of the sound calls in conftest.py at a time.
"""

import inspect
import resource
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.utils import _pytree

from geodet import ops
from geodet.errors import DeviceError, DtypeError, GeodetError, InvalidValueError, ShapeError

HUGE_INTEGERS = (-1, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63))
ODD_FLOATS = (float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 1e-45, 5e8)


def optional(call, name):
    """Tell whether an argument may be None."""
    return inspect.signature(getattr(ops, call.name)).parameters[name].default is None


def spoilt(call, spoil, wanted=lambda value: True):
    """(argument, its spoilt value) for every tensor argument that is wanted."""
    for name, value in call.tensors().items():
        if wanted(value):
            for bad in spoil(value):
                yield name, bad


def same(found, expected):
    """Tell whether two results agree in every bit."""
    pairs = zip(_pytree.tree_leaves(found), _pytree.tree_leaves(expected), strict=True)
    return all(
        torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
        if isinstance(a, torch.Tensor)
        else a == b
        for a, b in pairs
    )


@contextmanager
def little_memory(spare=2 << 30):
    """Let this process take only so many more bytes, so that endless allocations fail early."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 (no file of ours)
        pages = int(file.read().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + spare, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def outcome(call, **changed):
    """Result of a call that may refuse with an error of geodet; any other error fails the test."""
    with little_memory():
        try:
            return call(**changed)
        except GeodetError as error:
            message = str(error)
        except (MemoryError, RuntimeError) as error:
            # A sound wish for more memory than there is: NumPy or torch says so.
            message = str(error)
            if "allocate" not in message:
                raise
    assert message, "an error without a message"
    return None


def test_what_is_no_tensor_is_a_dtype_error(call):
    """Arrays (also with negative strides), lists, numbers and None are refused by name."""
    for name, value in call.tensors().items():
        others = [value.numpy(), value.numpy()[::-1], value.tolist(), 3.0, "text"]
        others += [] if optional(call, name) else [None]
        for other in others:
            with pytest.raises(DtypeError, match=name):
                call(**{name: other})


def test_wrong_dtypes_are_dtype_errors(call):
    """Nothing is cast silently from or to whole numbers, bools or complex numbers."""

    def other_kinds(value):
        kinds = {torch.float32, torch.int64, torch.bool, torch.complex64, torch.uint8}
        kind = torch.float32 if value.is_floating_point() else value.dtype
        return [value.to(dtype) for dtype in sorted(kinds - {kind}, key=str)]

    for name, bad in spoilt(call, other_kinds):
        with pytest.raises(DtypeError, match=name):
            call(**{name: bad})


def test_wrong_ranks_are_shape_errors(call):
    """One dimension more or less is refused by name."""
    for name, bad in spoilt(call, lambda value: (value[None], value[0], value.sum())):
        if call.name == "clip_rotated_boxes" and name == "window" and bad.ndim in {1, 2}:
            continue  # one window for all boxes, or one for each
        with pytest.raises(ShapeError, match=name):
            call(**{name: bad})


def test_wrong_sizes_are_errors(call):
    """A column or row more or less is refused, or the argument may have that size."""

    def resized(value):
        yield torch.cat((value, value[..., -1:]), dim=-1)
        yield value[..., :-1]
        yield torch.cat((value, value[-1:]))
        yield value[:-1]
        yield value[:0]

    for name, bad in spoilt(call, resized):
        outcome(call, **{name: bad})


def test_fixed_last_dimensions_are_shape_errors(call):
    """Tensors of boxes and points have four, five, two or three columns, and no others."""
    columns = {"xyxy": 4, "cxcywha": 5, "rois": 5, "points": 2, "xyv": 3, "xy": 2, "a": 0, "b": 0}

    def is_fixed(name, value):
        return name in columns and value.ndim >= 2 and value.dtype.is_floating_point

    for name, value in call.tensors().items():
        if is_fixed(name, value):
            for bad in (torch.cat((value, value[..., :1]), dim=-1), value[..., :-1]):
                with pytest.raises(ShapeError, match=name):
                    call(**{name: bad})


def test_other_devices_are_device_errors(call):
    """A tensor beside others on another device is refused; both are named."""
    if len(call.tensors()) < 2:
        pytest.skip("takes one tensor")
    for name, bad in spoilt(call, lambda value: [value.to("meta")]):
        with pytest.raises(DeviceError, match=name):
            call(**{name: bad})


def test_memory_layout_changes_no_result(call):
    """Tensors with gaps between their numbers, or with reversed dimensions, give equal results."""

    def relaid(value):
        gaps = torch.zeros((*value.shape, 2), dtype=value.dtype)
        gaps[..., 0] = value
        yield gaps[..., 0]
        turned = value.permute(*reversed(range(value.ndim))).contiguous()
        yield turned.permute(*reversed(range(value.ndim)))

    expected = call()
    for name, laid_out in spoilt(call, relaid):
        assert torch.equal(laid_out, call.arguments[name])
        assert same(call(**{name: laid_out}), expected), name


def test_calls_change_no_argument(call):
    """What an operator is given, it leaves as it was."""
    before = {name: value.clone() for name, value in call.tensors().items()}
    call()
    assert same(call.tensors(), before)


def test_gradients_are_given_or_absent(call):
    """Arguments get a gradient exactly where the operator is differentiable in them."""
    for name, value in call.tensors().items():
        if value.is_floating_point():
            own = value.clone().requires_grad_()
            results = [r for r in _pytree.tree_leaves(call(**{name: own})) if torch.is_tensor(r)]
            asking = [result for result in results if result.requires_grad]
            # An operator with a gradient for others asks for one, but has none for this argument.
            assert bool(asking) == (name in call.differentiable) or call.differentiable, name
            for result in asking:
                (gradient,) = torch.autograd.grad(result.sum(), own, allow_unused=True)
                assert (gradient is not None) == (name in call.differentiable), name


def test_odd_numbers_are_errors_or_results(call):
    """NaN, infinities and far numbers anywhere are refused or computed with."""

    def odd(value):
        for number in ODD_FLOATS:
            for place in (0, value.numel() - 1):
                bad = value.clone()
                bad.view(-1)[place] = number
                yield bad
            yield torch.full_like(value, number)

    for name, bad in spoilt(call, odd, lambda value: value.is_floating_point()):
        outcome(call, **{name: bad})


def test_odd_whole_numbers_are_errors_or_results(call):
    """Negative, huge and zero offsets, counts and groups are refused or computed with."""

    def odd(value):
        for number in (0, *HUGE_INTEGERS):
            clipped = max(min(number, torch.iinfo(value.dtype).max), torch.iinfo(value.dtype).min)
            for place in (0, value.numel() - 1):
                bad = value.clone()
                bad.view(-1)[place] = clipped
                yield bad
            yield torch.full_like(value, clipped)

    integers = {torch.int32, torch.int64}
    for name, bad in spoilt(call, odd, lambda value: value.dtype in integers):
        outcome(call, **{name: bad})


def odd_settings(value):
    """Wrong values in place of a plain argument, and whether each may be a result all the same."""
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        yield from HUGE_INTEGERS
    elif isinstance(value, float):
        yield from ODD_FLOATS
    elif isinstance(value, tuple):
        for position in range(len(value)):
            for number in HUGE_INTEGERS:
                yield (*value[:position], number, *value[position + 1 :])


def test_odd_settings_are_errors_or_results(call):
    """Negative, huge and endless sizes, thresholds and radii are refused or computed with."""
    plain = {n: v for n, v in call.arguments.items() if not isinstance(v, torch.Tensor)}
    for name, value in plain.items():
        for bad in odd_settings(value):
            outcome(call, **{name: bad})


def test_settings_of_wrong_types_are_type_errors(call):
    """Text, None or the wrong number of sizes is an error, not a guess."""
    plain = {n: v for n, v in call.arguments.items() if not isinstance(v, torch.Tensor)}
    for name, value in plain.items():
        if isinstance(value, bool):
            continue
        wrong = ["text"] if not isinstance(value, str) else [3]
        wrong += [None] if not optional(call, name) else []
        wrong += [value[:-1], (*value, 1)] if isinstance(value, tuple) else []
        for bad in wrong:
            with pytest.raises((TypeError, ValueError)):
                call(**{name: bad})


def numpy_numbers(value):
    """The same numbers in NumPy's types."""
    if isinstance(value, tuple):
        return tuple(map(numpy_numbers, value))
    return np.int64(value) if isinstance(value, int) else np.float64(value)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("name", ["nms", "batched_nms", "rotated_nms", "batched_rotated_nms"])
def test_thresholds_outside_their_range_are_named(calls, name, threshold):
    """A threshold that suppresses everything or nothing by accident is refused."""
    call = next(call for call in calls if call.name == name)
    with pytest.raises(InvalidValueError, match=r"iou_threshold: expected a number in \[0, 1\]"):
        call(iou_threshold=threshold)


def test_numpy_scalars_are_numbers(calls):
    """Sizes and thresholds from NumPy work as Python's own."""
    for call in calls:
        plain = {n: v for n, v in call.arguments.items() if isinstance(v, int | float | tuple)}
        for name, value in plain.items():
            if isinstance(value, bool):
                continue
            own = numpy_numbers(value)
            assert same(call(**{name: own}), call()), (call.name, name)
