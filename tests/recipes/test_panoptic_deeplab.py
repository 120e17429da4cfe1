"""The recipe of Panoptic-DeepLab: from text to losses, predictions and numbers."""

import attrs
import pytest
import torch

from geodet.recipes import (
    PanopticDeepLabRecipe,
    ShapesRecipe,
    build_predictor,
    default_recipe,
    from_text,
    score,
    to_text,
)
from geodet.recipes.facts import DataFacts
from geodet.structures import PanopticSegmentation, ScenePrediction

MODEL = PanopticDeepLabRecipe(
    depth=50,
    width=8,
    norm="group",
    channels=16,
    dilations=(1, 2),
    dropout=0.0,
    project_channels=(8, 8),
    center_channels=(16, 8),
    min_stuff_area=0,
)
DATA = ShapesRecipe(train_length=4, val_length=2, side=64, max_objects=2, lengths=(0.4, 0.8))


RECIPE = attrs.evolve(default_recipe(), model=MODEL, data=DATA, batch_size=2, num_workers=0)


def test_the_recipe_survives_as_text():
    """Every field comes back."""
    assert from_text(to_text(RECIPE)) == RECIPE


def test_the_model_learns_predicts_and_is_measured():
    """Its targets are whole scenes; each output has its numbers."""
    built = RECIPE.build()
    batch = next(iter(built.batches))
    losses = built.model(batch.images, batch.targets)
    sum(losses.values()).backward()

    assert isinstance(batch.targets[0], PanopticSegmentation)
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert all(p.grad is not None for p in built.model.parameters())
    assert isinstance(built.model.eval()(batch.images)[0], ScenePrediction)
    predictor = build_predictor(built.model, RECIPE, built.label_map, torch.device("cpu"))
    report = score(predictor, built.validation, outputs=MODEL.outputs)
    assert 0 <= report.semantic.miou < 1
    assert report.semantic.class_names == report.panoptic.class_names
    assert "masks" in report.to_dict()


@pytest.mark.parametrize(
    ("norm", "kind"),
    [
        ("group", torch.nn.GroupNorm),
        ("batch", torch.nn.BatchNorm2d),
        ("sync", torch.nn.SyncBatchNorm),
    ],
)
def test_norms_are_those_asked_for(norm, kind):
    """In the backbone and in both heads."""
    with torch.device("meta"):
        model = attrs.evolve(MODEL, norm=norm, width=32).build(
            DataFacts(num_classes=2, num_stuff=2)
        )
    for part in (model.backbone, model.semantic_head, model.center_head):
        assert any(type(module) is kind for module in part.modules())
