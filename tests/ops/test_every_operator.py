"""Every operator in torch.ops.geodet: torch's own checks, and torch.compile without a graph break.

The operators are listed from the library, so a new one without a call in conftest.py fails here.
"""

import pytest
import torch
import torch._functorch.config
import torch._inductor.config
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from geodet import ops
from geodet.errors import BackendError

quiet = pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor",  # opcheck reads it on purpose
    "ignore:.*is deprecated.*:DeprecationWarning:torch.*",  # torch's own imports while it compiles
)


def is_ours(operator):
    """Tell whether an overload belongs to geodet."""
    return getattr(operator, "namespace", None) == "geodet"


def registered():
    """Names of all operators that torch knows of us."""
    names = (name.partition("::") for name in torch._C._dispatch_get_all_op_names())
    return {name.partition(".")[0] for library, _, name in names if library == "geodet"}


class Forward(TorchFunctionMode):
    """Records our operators as they are called, with tensors that still ask for gradients."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Note the call and make it."""
        if is_ours(func):
            self.found.append((func, args))
        return func(*args, **(kwargs or {}))


class Backward(TorchDispatchMode):
    """Records our operators that run inside a backward pass."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Note the call and make it."""
        if is_ours(func):
            self.found.append((func, args))
        return func(*args, **(kwargs or {}))


def total(outcome):
    """Sum of squares of the floating-point tensors in a result: its gradient has one itself."""
    leaves = torch.utils._pytree.tree_leaves(outcome)
    return sum(leaf.square().sum() for leaf in leaves if leaf.is_floating_point())


def as_met_in_backward(operator, arguments):
    """Arguments on their own, the incoming gradient differentiable where the operator is."""
    fields = operator._schema.arguments
    free = [a.detach() if isinstance(a, torch.Tensor) else a for a in arguments]
    asking = [
        a.clone().requires_grad_() if field.name.startswith("grad") else a
        for field, a in zip(fields, free, strict=True)
    ]
    try:
        total(operator(*asking)).backward()
    except (BackendError, RuntimeError):  # has no gradient itself, or asks for none
        return tuple(free)
    return tuple(asking)


def uses_of(call):
    """(operator, arguments) that a call makes: without and with gradients, once and twice over."""
    forward, backward = Forward(), Backward()
    with forward:
        call()
        outcome = (asking := call.fresh())()
    if call.differentiable:
        inputs = [asking.arguments[name] for name in call.differentiable]
        with backward:
            torch.autograd.grad(total(outcome), inputs, retain_graph=True)
            torch.autograd.grad(total(outcome), inputs, create_graph=True)
    found = [(operator, as_met_in_backward(operator, a)) for operator, a in backward.found]
    return forward.found + found


def test_the_calls_cover_every_operator(calls):
    """No public operator and no registered one is without a call."""
    public = {name for name in ops.__all__ if name.islower()}  # the others are types
    assert {call.name for call in calls} == public
    used = {operator._opname for call in calls for operator, _ in uses_of(call)}
    assert used == registered()
    assert len({str(call) for call in calls}) == len(calls)


def test_every_operator_has_a_kernel_on_both_devices_and_a_fake():
    """An operator without one would fail far from here, in a compiled model."""
    names = registered()
    assert {"nms", "roi_align"} <= names
    for name in names:
        for key in ("CPU", "CUDA", "Meta"):
            has = torch._C._dispatch_has_kernel_for_dispatch_key(f"geodet::{name}", key)
            assert has, (name, key)


@quiet
def test_registrations_pass_torchs_own_checks(call):
    """Schema, fake, autograd registration and tracing with fixed and free sizes fit the kernel."""
    uses = uses_of(call)
    # Of several ways that an operator is called, the last: it asks for gradients.
    for operator, arguments in dict(uses).items():
        torch.library.opcheck(operator, arguments)


@quiet
def test_operators_compile_whole(call):
    """torch.compile finds no graph break, and its results and gradients are those of eager."""
    if call.eager_only:
        pytest.skip(f"not for compiling: {call.eager_only}")
    torch._dynamo.reset()
    operator = getattr(ops, call.name)
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(operator, fullgraph=True, backend="aot_eager")
        eager, traced = call.fresh(), call.fresh()
        expected, found = eager(), compiled(**traced.arguments)
    assert_same(found, expected)
    if call.differentiable:
        total(expected).backward()
        total(found).backward()
        for name in call.differentiable:
            assert_same(traced.arguments[name].grad, eager.arguments[name].grad)


@pytest.mark.filterwarnings("ignore:Input #0 requires gradient and is not a double")
def test_second_gradients_are_right_or_refused(call):
    """The gradient of a gradient equals differences, or is an error; never a silent zero."""
    if not call.differentiable:
        pytest.skip("not differentiable")
    if call.name.endswith("_ciou"):
        pytest.skip("its gradient is no derivative: alpha is held constant (Zheng 2020, eq. 11)")
    double = {
        name: value.double() if value.is_floating_point() else value
        for name, value in call.tensors().items()
    }
    names = call.differentiable

    def run(*values):
        return call(**{**double, **dict(zip(names, values, strict=True))})

    inputs = [double[name].clone().requires_grad_() for name in names]
    try:
        assert torch.autograd.gradgradcheck(run, inputs, atol=1e-5)
    except RuntimeError as error:
        refusals = ("cannot be differentiated again", "double backwards on deform_conv2d")
        assert any(words in str(error) for words in refusals)  # noqa: PT017 (either is right)


@quiet
@pytest.mark.slow
def test_inductor_compiles_operators_into_a_model(calls):
    """One function with overlaps, suppression, pooling and a loss through the default compiler."""
    by_name = {call.name: call.fresh() for call in calls}
    features = by_name["roi_align"].arguments["features"]
    boxes = by_name["nms"].arguments["xyxy"]

    def model(features, boxes, scores):
        kept = ops.nms(boxes, scores, 0.3)
        image = torch.zeros_like(boxes[:, :1])
        rois = torch.cat((image, boxes), dim=1)
        pooled = ops.roi_align(features, rois, (2, 2), spatial_scale=0.5)
        return pooled.square().mean() + ops.pairwise_box_iou(boxes, boxes).mean(), kept

    scores = by_name["nms"].arguments["scores"]
    torch._dynamo.reset()
    with (
        torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True),
        # No pool of processes that outlives us, and no code compiled for an earlier schema.
        torch._inductor.config.patch(compile_threads=1, fx_graph_cache=False),
        torch._functorch.config.patch(enable_autograd_cache=False),
    ):
        loss, kept = torch.compile(model, fullgraph=True)(features, boxes, scores)
    expected_loss, expected_kept = model(features, boxes, scores)
    assert torch.equal(kept, expected_kept)
    torch.testing.assert_close(loss, expected_loss)
    (gradient,) = torch.autograd.grad(loss, features)
    (expected_gradient,) = torch.autograd.grad(expected_loss, features)
    torch.testing.assert_close(gradient, expected_gradient)


def assert_same(found, expected):
    """Tensors and tuples of them agree exactly."""
    found, expected = (torch.utils._pytree.tree_leaves(value) for value in (found, expected))
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
