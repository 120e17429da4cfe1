"""Names by module type: rules join, parents decide, and two tensors never share a name."""

import pytest
import torch
from torch import nn

from geodet.errors import CheckpointError
from geodet.models.published import published_names
from geodet.models.published.names import plain_names, without_rules


class Body(nn.Module):
    """Two layers and a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1, bias=False))
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("cached", torch.ones(1), persistent=False)


class LargerBody(Body):
    """A class without a rule of its own."""


class Whole(nn.Module):
    """A body inside."""

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.head = nn.Linear(1, 1)


RULES = {
    Body: lambda body: {f"layers.{i}": f"fc{i + 1}" for i in range(len(body.layers))},
    Whole: lambda _: {"body": "", "head": "roi.predictor", "body.scale": "gain"},
}


def test_rules_of_every_level_join():
    """Containers vanish, levels vanish, and a parent decides over what its child would say."""
    names = published_names(nn.ModuleDict({"model": Whole(Body())}), RULES)
    assert names == {
        "model.body.scale": "model.gain",
        "model.body.layers.0.weight": "model.fc1.weight",
        "model.body.layers.0.bias": "model.fc1.bias",
        "model.body.layers.1.weight": "model.fc2.weight",
        "model.head.weight": "model.roi.predictor.weight",
        "model.head.bias": "model.roi.predictor.bias",
    }


def test_a_class_takes_the_rule_of_its_nearest_parent():
    """And one without any keeps its names."""
    assert "fc2.weight" in published_names(LargerBody(), RULES).values()
    assert published_names(Body(), {})["layers.1.weight"] == "layers.1.weight"


def test_a_model_for_several_devices_has_the_names_of_the_model():
    """The wrapper's level is in no checkpoint."""
    bare = published_names(Body(), RULES)
    wrapped = published_names(nn.DataParallel(Body()), RULES)
    assert wrapped == {f"module.{ours}": theirs for ours, theirs in bare.items()}


def test_two_tensors_of_one_name_are_an_error():
    """It names both and the class whose rule it may be."""
    with pytest.raises(CheckpointError, match=r"head\.weight would both be called 'fc1\.weight'"):
        published_names(Whole(Body()), {**RULES, Whole: lambda _: {"body": "", "head": "fc1"}})


def test_classes_without_rules_are_told_apart():
    """Torch's own need none; ours with a plain rule neither."""
    model = Whole(Body())
    names = list(model.state_dict())
    assert without_rules(model, names, RULES) == []
    assert without_rules(model, names, {Body: plain_names}) == ["Whole"]
    assert without_rules(model, ["head.weight"], {}) == ["Whole"]
