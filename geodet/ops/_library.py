"""Registration of operators with torch, so that they trace, compile, export and differentiate.

One call of `register` per operator gives torch its schema, its kernel on each device, the shapes
of its result (the "fake") and its gradient.
"""

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import torch

from geodet.errors import BackendError

# What an operator returns: its kernels on all devices and its fake give the same.
Result = TypeVar("Result")

_LIBRARY = torch.library.Library("geodet", "DEF")


def register(
    schema: str,
    *,
    cpu: Callable[..., Result],
    cuda: Callable[..., Result],
    fake: Callable[..., Result],
    setup_context: Callable[..., None] | None = None,
    backward: Callable[..., Any] | None = None,
) -> Callable[..., Result]:
    """Make one operator known to torch and return it.

    Args:
        schema: `name(Tensor a, ...) -> Tensor`, without namespace.
        cpu: kernel for CPU tensors.
        cuda: kernel for CUDA tensors; called with their device current.
        fake: gives tensors of the result's shape and dtype without data.
        setup_context: keeps what `backward` needs.
        backward: gradient; an operator without one is not differentiable: its results ask for no
            gradient, whatever it is given. For a gradient that has none itself, see
            `no_second_gradient`.
    """
    name = schema.partition("(")[0]
    _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, cpu, "CPU")
    _LIBRARY.impl(name, _on_its_device(cuda), "CUDA")
    torch.library.register_fake(f"geodet::{name}", fake, lib=_LIBRARY)
    if backward is not None:
        torch.library.register_autograd(
            f"geodet::{name}", backward, setup_context=setup_context, lib=_LIBRARY
        )
    operator: Callable[..., Result] = getattr(torch.ops.geodet, name).default
    if backward is None:
        # Otherwise torch marks results as differentiable and only warns when it meets them later.
        _LIBRARY.impl(name, torch.library.fallthrough_kernel, "Autograd")
        return operator
    hidden = register(f"_{schema}", cpu=cpu, cuda=cuda, fake=fake)
    return _past_autograd(operator, hidden)


def no_second_gradient(ctx: Any, *_: Any) -> NoReturn:
    """Refuse to differentiate a gradient: the `backward` of kernels that compute one.

    Raises:
        BackendError: always; taken for a constant, the gradient would give wrong numbers.
    """
    del ctx
    raise BackendError(
        "this operator's gradient cannot be differentiated again; detach it, or leave out "
        "create_graph=True"
    )


def _past_autograd(
    operator: Callable[..., Result], hidden: Callable[..., Result]
) -> Callable[..., Result]:
    """Call a twin without gradient where none is asked for.

    torch's autograd layer in Python costs 3 us a call even then. Tracers always get the public
    operator.
    """

    def call(*arguments: Any) -> Result:
        if torch.compiler.is_compiling():
            return operator(*arguments)
        if torch.is_grad_enabled():
            for argument in arguments:
                if isinstance(argument, torch.Tensor) and argument.requires_grad:
                    return operator(*arguments)
        return hidden(*arguments)

    return call


def _on_its_device(kernel: Callable[..., Result]) -> Callable[..., Result]:
    def run(first: torch.Tensor, *arguments: Any) -> Result:
        with torch.cuda.device(first.device):
            return kernel(first, *arguments)

    return run
