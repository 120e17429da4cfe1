"""Recipes of models: each builds, learns from the shapes data and predicts what it says."""

from pathlib import Path

import attrs
import pytest
import torch

from geodet.errors import EvaluationError, RecipeError
from geodet.recipes import (
    BoxHeadRecipe,
    CocoRecipe,
    DeepLabRecipe,
    Description,
    FasterRcnnRecipe,
    FcosRecipe,
    KeypointHeadRecipe,
    KeypointRcnnRecipe,
    MaskHeadRecipe,
    MaskRcnnRecipe,
    PanopticFpnRecipe,
    PointRendRecipe,
    RcnnRecipe,
    ResNetFpnRecipe,
    RetinaNetRecipe,
    RpnRecipe,
    SemanticFpnRecipe,
    SemanticHeadRecipe,
    ShapesRecipe,
    apply_overrides,
    build_predictor,
    build_trained,
    default_recipe,
    describe_weights,
    from_text,
    save_model,
    score,
    to_text,
)
from geodet.structures import (
    Boxes,
    PanopticSegmentation,
    RotatedBoxes,
    ScenePrediction,
    SemanticScores,
)

BACKBONE = ResNetFpnRecipe(depth=18, width=8, fpn_channels=16)
SIZES = (16.0, 24.0, 32.0, 48.0, 64.0)
RPN = RpnRecipe(
    anchor_sizes=SIZES,
    train_before_nms=60,
    train_after_nms=30,
    test_before_nms=60,
    test_after_nms=20,
    samples_per_image=32,
)
BOX_HEAD = BoxHeadRecipe(
    fc_features=(16,), max_detections=5, score_threshold=0.0, samples_per_image=16
)
MASKS = MaskHeadRecipe(conv_channels=(8,))
POINTS = KeypointHeadRecipe(conv_channels=(8,))
POINT_REND = PointRendRecipe(
    coarse_channels=8, coarse_features=(16,), point_channels=(8,), subdivision_steps=2
)
PIXELS = SemanticHeadRecipe(channels=16)
CASCADE = attrs.evolve(BOX_HEAD, cascade_ious=(0.5, 0.6), smooth_l1_beta=0.5)
RCNN = {"backbone": BACKBONE, "rpn": RPN, "box_head": BOX_HEAD}
DENSE = {"backbone": BACKBONE, "head_convs": 1, "score_threshold": 0.0, "max_detections": 5}
DENSE |= {"candidates_per_level": 50}
MODELS = {
    "faster": FasterRcnnRecipe(**RCNN),
    "mask": MaskRcnnRecipe(**RCNN | {"mask_head": MASKS}),
    "rotated": RcnnRecipe(**RCNN, rotated=True, mask_head=MASKS, keypoint_head=POINTS),
    "rotated cascade": RcnnRecipe(**RCNN | {"box_head": CASCADE}, rotated=True),
    "point-rend": RcnnRecipe(**RCNN, mask_head=POINT_REND),
    "retinanet": RetinaNetRecipe(**DENSE, anchor_sizes=SIZES),
    "retinanet with masks": RetinaNetRecipe(**DENSE, anchor_sizes=SIZES, mask_head=MASKS),
    "rotated retinanet": RetinaNetRecipe(**DENSE, anchor_sizes=SIZES, rotated=True),
    "fcos": FcosRecipe(**DENSE),
    "fcos with keypoints": FcosRecipe(**DENSE, keypoint_head=POINTS),
    "keypoint": KeypointRcnnRecipe(**RCNN | {"keypoint_head": POINTS}),
    "cascade": RcnnRecipe(**RCNN | {"box_head": CASCADE}, mask_head=MASKS),
    "semantic": SemanticFpnRecipe(backbone=BACKBONE, semantic_head=PIXELS),
    "deeplab": DeepLabRecipe(width=8, aspp_channels=8, dilations=(1, 2)),
    "panoptic": PanopticFpnRecipe(
        detector=RcnnRecipe(**RCNN, mask_head=MASKS), semantic_head=PIXELS, min_stuff_area=0
    ),
}
DATA = ShapesRecipe(train_length=2, val_length=2, side=64, max_objects=2, lengths=(0.4, 0.8))


def recipe_of(name):
    """A whole recipe around a model."""
    return attrs.evolve(
        default_recipe(), model=MODELS[name], data=DATA, batch_size=2, num_workers=0
    )


def outputs_of(found):
    """What a prediction holds, as recipes call it."""
    if isinstance(found, SemanticScores):
        return {"semantic"}
    if isinstance(found, ScenePrediction):
        assert isinstance(found.panoptic, PanopticSegmentation)
        return outputs_of(found.instances) | {"semantic", "panoptic"}
    boxes = {Boxes: "boxes", RotatedBoxes: "rotated_boxes"}[type(found.boxes)]
    assert len(found) > 0
    return {boxes, *({"masks", "keypoints"} & set(found.columns()))}


# What other models show already, with other parts around it.
SLOW = ("mask", "retinanet with masks", "fcos with keypoints", "rotated cascade")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in MODELS],
)
def test_a_recipe_learns_from_shapes_and_predicts_its_outputs(name):
    """Losses are finite and reach every parameter; predictions hold the outputs, no more."""
    built = recipe_of(name).build()
    batch = next(iter(built.batches))
    losses = built.model(batch.images, batch.targets)
    sum(losses.values()).backward()

    assert all(torch.isfinite(loss) for loss in losses.values())
    assert not [key for key, each in built.model.named_parameters() if each.grad is None]
    found = built.model(batch.images)
    assert outputs_of(found[0]) == set(recipe_of(name).model.outputs)


@pytest.mark.parametrize("name", ["keypoint", "rotated retinanet", "semantic", "panoptic"])
def test_scores_are_those_of_what_the_model_predicts(name):
    """Every output has its numbers in the report, its tables and the headlines, and no other."""
    recipe = recipe_of(name)
    built = recipe.build()
    predictor = build_predictor(built.model, recipe, built.label_map, torch.device("cpu"))
    report = score(predictor, built.validation, outputs=recipe.model.outputs)
    expected = set(recipe.model.outputs)

    assert {key.split("/")[1] for key in report.numbers()} == expected
    assert set(report.to_dict()) - {"num_images"} == expected
    assert all(-1 <= value <= 1 for value in report.numbers().values())
    assert report.to_table()
    if "panoptic" in expected:
        assert report.panoptic.num_images == report.semantic.num_images == 2


def test_a_model_of_another_kind_than_its_recipe_is_an_error():
    """Scores of pixels where instances were promised."""
    recipe = recipe_of("semantic")
    built = recipe.build()
    predictor = build_predictor(built.model, recipe, built.label_map, torch.device("cpu"))
    with pytest.raises(EvaluationError, match=r"predicts SemanticScores, its recipe .* Instances"):
        score(predictor, built.validation, outputs=("boxes",))


@pytest.mark.parametrize("name", ["keypoint", "panoptic"])
def test_a_saved_model_keeps_what_it_knows_of_the_data(name, tmp_path):
    """Skeleton and background names lie beside the weights: the model comes back without data."""
    recipe = recipe_of(name)
    built = recipe.build()
    description = Description.of(recipe, built.validation)
    weights = save_model(tmp_path, built.model, description)
    assert describe_weights(weights) == description
    assert description.facts == recipe.facts(built.validation)
    again = build_trained(describe_weights(weights), weights)
    pairs = zip(again.state_dict().values(), built.model.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


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


def test_a_scene_needs_a_detector_with_masks():
    """Said at construction."""
    with pytest.raises(RecipeError, match=r"detector.mask_head: a scene is made of masks"):
        PanopticFpnRecipe(detector=MODELS["faster"])
    with pytest.raises(RecipeError, match=r"detector.rotated: expected false"):
        PanopticFpnRecipe(detector=MODELS["rotated"])
    with pytest.raises(RecipeError, match=r"learns semantic, CocoRecipe offers"):
        attrs.evolve(recipe_of("semantic"), data=CocoRecipe(root=Path("x")))


def test_parts_can_be_added_and_changed_from_outside():
    """--set gives a detector masks, another norm, or rotated boxes."""
    recipe = apply_overrides(
        recipe_of("faster"), ["model.mask_head=MaskHeadRecipe", "model.mask_head.conv_channels=8,8"]
    )
    assert recipe.model.mask_head == MaskHeadRecipe(conv_channels=(8, 8))
    assert recipe.model.outputs == ("boxes", "masks")
    recipe = apply_overrides(recipe_of("retinanet"), ["model.rotated=true"])
    assert recipe.model.outputs == ("rotated_boxes",)
    recipe = apply_overrides(recipe, ["model.mask_head=MaskHeadRecipe", "model.mask_head=null"])
    assert recipe.model.mask_head is None
    assert isinstance(MODELS["mask"], RcnnRecipe)
