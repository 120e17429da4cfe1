"""Weights meet a model: all or nothing, or in part with a list."""

import pytest
import torch
from torch import nn

from geodet.errors import CheckpointError
from geodet.weights import load_weights


@pytest.fixture
def model():
    """A small body and head."""
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "body": nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)),
            "head": nn.Linear(4, 2),
        }
    )


def copies(model):
    """The state dict, apart from the model."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_equal_names_and_shapes_are_copied(model):
    """Everything is loaded, and the report says so in one line."""
    wanted = {name: torch.ones_like(value) for name, value in copies(model).items()}
    report = load_weights(model, wanted, source="f")
    assert all(torch.equal(value, wanted[name]) for name, value in model.state_dict().items())
    assert report.loaded == tuple(wanted)
    assert str(report) == "f: 9 tensors loaded"


@pytest.fixture
def other_names(model):
    """The head is called otherwise in the file."""
    return {name: name.replace("head", "roi.predictor") for name in model.state_dict()}


@pytest.fixture
def unfit(model, other_names):
    """Weights with one missing, one of another shape, one more; under other names."""
    found = {other_names[name]: value + 1 for name, value in copies(model).items()}
    found["roi.predictor.weight"] = torch.zeros(5, 4)
    del found["body.1.running_mean"]
    found["roi.extra.bias"] = torch.zeros(3)
    return found


def test_nothing_is_loaded_unless_all_fits(model, unfit, other_names):
    """One table in both sides' names; the model is untouched to the last bit."""
    before = copies(model)
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, unfit, source="f.pkl", names=other_names, notes=["a note"])
    text = str(caught.value)
    assert "f.pkl: does not fit the model, nothing was loaded" in text
    assert "1 missing, 1 unexpected, 1 of another shape" in text
    assert "head (roi.predictor in the file): 1 differ, the model has 2" in text
    for words in ("head.weight", "roi.predictor.weight", "[2, 4]", "[5, 4]", "roi.extra.bias"):
        assert words in text
    assert text.endswith("a note")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_in_part_loads_the_rest_and_lists_what_it_skipped(model, unfit, other_names):
    """What fits is copied; what differs stays and is named."""
    before = copies(model)
    report = load_weights(model, unfit, source="f", partial=True, names=other_names)
    assert report.missing == ("body.1.running_mean",)
    assert report.reshaped == ("head.weight",)
    assert report.unexpected == ("roi.extra.bias",)
    assert len(report.loaded) == 7
    for name, value in model.state_dict().items():
        untouched = name in ("body.1.running_mean", "head.weight")
        assert torch.equal(value, before[name] if untouched else before[name] + 1), name
    text = str(report)
    assert "f: 7 tensors loaded" in text
    assert "skipped: 1 missing, 1 unexpected, 1 of another shape" in text
    assert "roi.predictor.weight" in text


def test_long_tables_are_cut():
    """Six rows of a part, then a count."""
    model = nn.ModuleDict({"body": nn.Sequential(*(nn.Linear(1, 1) for _ in range(5)))})
    with pytest.raises(CheckpointError, match=r"\.\.\. and 3 more"):
        load_weights(model, {"body.0.weight": torch.zeros(1, 1)}, source="f")
