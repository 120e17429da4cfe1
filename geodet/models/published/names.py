"""Names of a model's tensors in somebody else's checkpoints, from the model's own modules.

A rule belongs to a module class: given such a module it says what the other side calls the
module's children and tensors. Walking a model and joining what its modules' rules say gives the
name of every tensor, for any composition of these modules.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from torch import nn

from geodet.errors import CheckpointError

__all__ = ["Rule", "Rules", "plain_names", "published_names", "without_rules"]

# From a module to {path below it: name below it on the other side}. A path may be dotted and so
# name a child of a child; what it leaves out keeps its name. "" stands for the module itself, so
# that {"body": ""} means that the other side has no such level.
Rule: TypeAlias = Callable[[Any], Mapping[str, str]]
Rules: TypeAlias = Mapping[type[nn.Module], Rule]


def plain_names(_: nn.Module) -> dict[str, str]:
    """The rule of modules whose children have the same names on the other side."""
    return {}


# What holds a whole model for several devices adds a level that no checkpoint has.
_WRAPPERS: Rules = dict.fromkeys(
    (nn.DataParallel, nn.parallel.DistributedDataParallel), lambda _: {"module": ""}
)


def published_names(model: nn.Module, rules: Rules) -> dict[str, str]:
    """The other side's name of every entry of `model.state_dict()`.

    Args:
        model: any module.
        rules: by module class; a class without a rule of its own takes that of its nearest
            parent class, and without any its children keep their names.
    Returns:
        Our name -> theirs, in the order of the state dict.
    Raises:
        CheckpointError: two of our tensors get one name; names both and their modules.
    """
    found = dict(_names_below(model, "", {}, {**_WRAPPERS, **rules}))
    names = {name: found[name] for name in model.state_dict()}
    owners: dict[str, str] = {}
    for ours, theirs in names.items():
        if theirs in owners:
            raise CheckpointError(
                f"{owners[theirs]} and {ours} would both be called {theirs!r} in the checkpoint; "
                f"the rule of {_owner(model, ours)} or of a module above it is ambiguous"
            )
        owners[theirs] = ours
    return names


def without_rules(model: nn.Module, names: Iterable[str], rules: Rules) -> list[str]:
    """Classes of ours, holding some of the tensors `names`, whose names no rule translates.

    For messages: when tensors are not found under their plain names, these are the suspects.
    """
    known = tuple(rules)
    suspects: dict[str, None] = {}
    for name in names:
        for depth in range(name.count(".") + 1):
            module = model.get_submodule(".".join(name.split(".")[:depth]))
            own = type(module)
            if own.__module__.partition(".")[0] != "torch" and not issubclass(own, known):
                suspects[own.__name__] = None
    return list(suspects)


def _names_below(
    module: nn.Module, other: str, above: Mapping[str, str], rules: Rules
) -> Iterator[tuple[str, str]]:
    """Our name below `module`, and the whole name on the other side, of each of its tensors.

    `other` is what the module is called there; `above` holds whole names that the rules of its
    parents decided for paths below it.
    """
    rule = next((rules[kind] for kind in type(module).__mro__ if kind in rules), None)
    said = {} if rule is None else rule(module)
    decided = {path: _join(other, name) for path, name in said.items()} | dict(above)
    for name in (*module._parameters, *module._buffers):
        yield name, decided.get(name, _join(other, name))
    for name, child in module.named_children():
        below = {
            path.removeprefix(f"{name}."): whole
            for path, whole in decided.items()
            if path.startswith(f"{name}.")
        }
        theirs = decided.get(name, _join(other, name))
        for inner, whole in _names_below(child, theirs, below, rules):
            yield f"{name}.{inner}", whole


def _join(prefix: str, name: str) -> str:
    return ".".join(part for part in (prefix, name) if part)


def _owner(model: nn.Module, name: str) -> str:
    return type(model.get_submodule(name.rpartition(".")[0])).__name__
