"""Recipes of models: each builds, learns from the shapes data and predicts what it says."""

import attrs
import pytest
import torch

from geodet.data import Batch, target_maker
from geodet.errors import RecipeError
from geodet.recipes import (
    BoxHeadRecipe,
    CocoRecipe,
    FasterRcnnRecipe,
    FcosRecipe,
    MaskHeadRecipe,
    MaskRcnnRecipe,
    RcnnRecipe,
    ResNetFpnRecipe,
    RetinaNetRecipe,
    RpnRecipe,
    ShapesRecipe,
    apply_overrides,
    default_recipe,
    from_text,
    to_text,
)
from geodet.structures import Boxes, Instances, RotatedBoxes

BACKBONE = ResNetFpnRecipe(depth=18, width=8, fpn_channels=16)
SIZES = (16.0, 24.0, 32.0, 48.0, 64.0)
RPN = RpnRecipe(anchor_sizes=SIZES, train_after_nms=30, test_after_nms=20)
BOX_HEAD = BoxHeadRecipe(fc_features=(16,), max_detections=5, score_threshold=0.0)
MASKS = MaskHeadRecipe(conv_channels=(8,))
RCNN = {"backbone": BACKBONE, "rpn": RPN, "box_head": BOX_HEAD}
DENSE = {"backbone": BACKBONE, "head_convs": 1, "score_threshold": 0.0, "max_detections": 5}
MODELS = {
    "faster": FasterRcnnRecipe(**RCNN),
    "mask": MaskRcnnRecipe(**RCNN | {"mask_head": MASKS}),
    "retinanet": RetinaNetRecipe(**DENSE, anchor_sizes=SIZES),
    "retinanet with masks": RetinaNetRecipe(**DENSE, anchor_sizes=SIZES, mask_head=MASKS),
    "rotated retinanet": RetinaNetRecipe(**DENSE, anchor_sizes=SIZES, rotated=True),
    "fcos": FcosRecipe(**DENSE),
}
DATA = ShapesRecipe(train_length=4, val_length=2, side=64, max_objects=2, lengths=(0.4, 0.8))


def recipe_of(name):
    """A whole recipe around a model."""
    return attrs.evolve(default_recipe(), model=MODELS[name], data=DATA, batch_size=2)


def columns(found):
    """Names of what a prediction holds, as outputs are called."""
    kinds = {Boxes: "boxes", RotatedBoxes: "rotated_boxes"}
    boxes = kinds[type(found.boxes)]
    return {boxes, *({"masks", "keypoints"} & set(found.columns()))}


@pytest.mark.parametrize("name", MODELS)
def test_a_recipe_learns_from_shapes_and_predicts_its_outputs(name):
    """Losses are finite and reach every parameter; predictions hold the outputs, no more."""
    recipe = recipe_of(name)
    source = recipe.data.build_train(recipe.model.outputs)
    facts = recipe.facts(source)
    torch.manual_seed(0)
    model = recipe.model.build(facts)
    target = target_maker(recipe.model.target, labels=facts.scene_labels)
    batch = Batch.from_samples([source[0], source[1]], target=target)
    losses = model(batch.images, batch.targets)
    sum(losses.values()).backward()

    assert all(torch.isfinite(loss) for loss in losses.values())
    assert not [key for key, each in model.named_parameters() if each.grad is None]
    found = model(batch.images)
    assert all(isinstance(each, Instances) for each in found)
    assert columns(found[0]) == set(recipe.model.outputs)
    assert len(found[0]) > 0


@pytest.mark.parametrize("name", MODELS)
def test_the_text_of_each_model_gives_it_back(name):
    """recipe.json holds every field and the kinds of all parts."""
    recipe = recipe_of(name)
    assert from_text(to_text(recipe)) == recipe


def test_the_models_preprocess_resizes_as_the_data_say():
    """One fact: sizes of prediction are the data's, and the model carries them."""
    recipe = attrs.evolve(recipe_of("faster"))
    facts = recipe.facts(recipe.build_validation())
    preprocess = recipe.model.build(facts).preprocess
    assert (preprocess.short_edge, preprocess.max_long_edge) == (64, 256)


def test_data_without_what_the_model_learns_fail_at_construction(tmp_path):
    """Masks left out of the data, or a truth that they do not have: both sides are named."""
    coco = CocoRecipe(root=tmp_path, masks=False)
    message = "data: RcnnRecipe learns boxes, masks, CocoRecipe offers boxes, keypoints: masks miss"
    with pytest.raises(RecipeError, match=message):
        attrs.evolve(recipe_of("mask"), data=coco)
    with pytest.raises(RecipeError, match="rotated_boxes missing; set data"):
        attrs.evolve(recipe_of("rotated retinanet"), data=coco)
    with pytest.raises(RecipeError, match="masks missing"):
        apply_overrides(
            attrs.evolve(recipe_of("mask"), data=CocoRecipe(root=tmp_path)), ["data.masks=false"]
        )
    attrs.evolve(recipe_of("faster"), data=coco)


def test_parts_can_be_added_and_changed_from_outside():
    """--set gives a detector masks, another norm, or rotated boxes."""
    recipe = apply_overrides(
        recipe_of("faster"), ["model.mask_head={}", "model.mask_head.conv_channels=8,8"]
    )
    assert recipe.model.mask_head == MaskHeadRecipe(conv_channels=(8, 8))
    assert recipe.model.outputs == ("boxes", "masks")
    recipe = apply_overrides(recipe_of("retinanet"), ["model.rotated=true"])
    assert recipe.model.outputs == ("rotated_boxes",)
    recipe = apply_overrides(recipe, ["model.mask_head={}", "model.mask_head=null"])
    assert recipe.model.mask_head is None
    assert isinstance(MODELS["mask"], RcnnRecipe)
