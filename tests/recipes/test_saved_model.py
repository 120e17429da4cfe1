"""Weights with their description, checks between recipe and data."""

import attrs
import pytest
import torch

from geodet.data.label_map import LabelMap
from geodet.engine import Processes
from geodet.errors import CheckpointError, EvaluationError, RecipeError, TrainingError
from geodet.recipes import (
    CocoRecipe,
    DataFacts,
    Description,
    apply_overrides,
    build_trained,
    check_same_classes,
    default_recipe,
    describe_weights,
    find_weights,
    save_model,
)

SMALL = (
    "model.backbone.width=8",
    "model.backbone.fpn_channels=16",
    "model.box_head.fc_features=16",
    "model.mask_head.conv_channels=8",
    "batch_size=2",
)


@pytest.fixture
def recipe():
    """The default recipe at toy width."""
    return apply_overrides(default_recipe(), SMALL)


def test_a_saved_model_comes_back_with_all_that_it_needs(recipe, tmp_path):
    """Weights, recipe, names and ids survive, and the model computes the same."""
    names = LabelMap(("cat", "dog"), (17, 3))
    model = recipe.model.build(DataFacts(num_classes=2))
    save_model(tmp_path, model, Description(recipe=recipe, label_map=names))
    weights = find_weights(tmp_path)
    assert weights == tmp_path / "model.safetensors"
    described = describe_weights(weights)
    assert described == Description(recipe=recipe, label_map=names)
    again = build_trained(described, weights)
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_weights_without_description_have_none(recipe, tmp_path):
    """A file alone is legal; what it belongs to must then be said."""
    save_model(
        tmp_path,
        recipe.model.build(DataFacts(num_classes=1)),
        Description(recipe=recipe, label_map=LabelMap(("cat",), (1,))),
    )
    (tmp_path / "model.json").unlink()
    assert describe_weights(find_weights(tmp_path)) is None
    with pytest.raises(CheckpointError, match="found no weights"):
        find_weights(tmp_path / "nowhere")


def test_the_first_weights_follow_the_seed_and_leave_the_generator_alone(recipe):
    """Equal recipes start from equal weights; another seed from others."""
    before = torch.get_rng_state()
    first, second = recipe.build().model, recipe.build().model
    other = attrs.evolve(recipe, seed=1).build().model
    assert torch.equal(torch.get_rng_state(), before)
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(one, two) for one, two in pairs)
    assert any(
        not torch.equal(one, two)
        for one, two in zip(first.parameters(), other.parameters(), strict=True)
    )


def test_a_wrong_class_count_is_found_before_training(recipe):
    """The number in the recipe is checked against the data's."""
    with pytest.raises(RecipeError, match=r"model.num_classes: expected 7 .* got 80"):
        apply_overrides(recipe, ["model.num_classes=80"]).build()
    assert apply_overrides(recipe, ["model.num_classes=7"]).build().label_map.names


def test_missing_data_and_unequal_shares_are_found_before_training(recipe, tmp_path):
    """A folder that is not there, a batch that the processes cannot share."""
    with pytest.raises(RecipeError, match=r"data.root: no folder .* --set data.root"):
        attrs.evolve(recipe, data=CocoRecipe(root=tmp_path / "nothing")).build()
    with pytest.raises(RecipeError, match="batch_size: expected at most 1"):
        apply_overrides(recipe, ["data.train_length=1"]).build()
    with pytest.raises(TrainingError, match="batch_size: expected a multiple of the 3 processes"):
        recipe.build(Processes(world_size=3))


def test_frozen_layers_need_weights(recipe, tmp_path):
    """A frozen network that starts at random learns nothing: an error, not a bad model."""
    with pytest.raises(RecipeError, match=r"model.backbone.weights: needed"):
        apply_overrides(recipe, ["model.backbone.freeze_at=2"]).build()
    missing = tmp_path / "w.safetensors"
    with pytest.raises(CheckpointError, match="no such file"):
        apply_overrides(recipe, [f"model.backbone.weights={missing}"]).build()


def test_initial_weights_reach_the_backbone(recipe, tmp_path):
    """The trunk starts from the file; the rest from the seed."""
    trunk = recipe.model.build(DataFacts(num_classes=7)).backbone.bottom_up
    from geodet.weights import write_tensors

    write_tensors(tmp_path / "w.safetensors", trunk.state_dict())
    path = tmp_path / "w.safetensors"
    built = apply_overrides(recipe, [f"model.backbone.weights={path}", "seed=5"]).build().model
    for name, value in trunk.state_dict().items():
        assert torch.equal(built.backbone.bottom_up.state_dict()[name], value)


def test_other_classes_are_refused_with_the_first_difference():
    """A model of cats is not measured on dogs."""
    cats = LabelMap(("cat", "bird"), (1, 2))
    check_same_classes(cats, LabelMap(("cat", "bird"), (8, 9)))
    with pytest.raises(EvaluationError, match="label 1 is 'bird' to the model and 'dog'"):
        check_same_classes(cats, LabelMap(("cat", "dog"), (1, 2)))
    with pytest.raises(EvaluationError, match="knows 2, the data have 1"):
        check_same_classes(cats, LabelMap(("cat",), (1,)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected an object, got list"),
        ('{"class_names": [', "not JSON"),
        ('{"recipe": {}}', r"\['class_names', 'dataset_ids'\]"),
        ('{"class_names": 3, "dataset_ids": [1], "recipe": {}}', "class_names: expected a list"),
        ('{"class_names": ["a"], "dataset_ids": ["1"], "recipe": {}}', "expected integers"),
        ('{"class_names": ["a"], "dataset_ids": [1, 2], "recipe": {}}', "expected 1 ids"),
    ],
)
def test_a_broken_description_is_named(text, message, tmp_path):
    """A damaged model.json is one message that begins with its path."""
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(CheckpointError, match=f"(?s)^{tmp_path}.*{message}"):
        describe_weights(tmp_path / "model.safetensors")
