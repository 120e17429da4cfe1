"""Recipes of transformers: what they build, their text, and the weights they start from."""

import attrs
import pytest
import torch

from geodet.errors import CheckpointError
from geodet.models.backbones import MViT, Swin, ViT
from geodet.recipes import (
    AdamW,
    BoxHeadRecipe,
    MaskHeadRecipe,
    MaskRcnnRecipe,
    MvitFpnRecipe,
    PreprocessRecipe,
    RetinaNetRecipe,
    RpnRecipe,
    SwinFpnRecipe,
    VitDetRecipe,
    default_recipe,
    from_text,
    to_text,
)
from geodet.weights import write_tensors

VIT = VitDetRecipe(
    channels=16,
    depth=2,
    num_heads=2,
    global_blocks=(1,),
    window_side=3,
    image_side=64,
    pyramid_channels=8,
)
SWIN = SwinFpnRecipe(channels=8, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8), pyramid_channels=8)
MVIT = MvitFpnRecipe(
    channels=8, depth=4, stage_ends=(0, 1, 2, 3), window_side=8, pyramid_channels=8
)
ALL = pytest.mark.parametrize("backbone", [VIT, SWIN, MVIT], ids=["vit", "swin", "mvit"])


def _mask_rcnn(backbone):
    return MaskRcnnRecipe(
        backbone=backbone,
        preprocess=PreprocessRecipe(square_side=384),
        rpn=RpnRecipe(train_after_nms=30, test_after_nms=20),
        box_head=BoxHeadRecipe(fc_features=(16,), max_detections=5),
        mask_head=MaskHeadRecipe(conv_channels=(8,)),
    )


@ALL
def test_a_run_with_a_transformer_survives_its_text_and_builds(backbone):
    """The default run with another backbone and a rate that falls with depth."""
    recipe = attrs.evolve(
        default_recipe(),
        model=_mask_rcnn(backbone),
        optimizer=AdamW(lr=1e-3, layer_decay=0.7, undecayed=("pos_embed",)),
        batch_size=2,
    )
    assert from_text(to_text(recipe)) == recipe
    built = recipe.build()
    trunk = built.model.backbone.bottom_up
    assert isinstance(trunk, {VIT: ViT, SWIN: Swin, MVIT: MViT}[backbone])
    factors = {group["lr_factor"] for group in recipe.optimizer.build(built.model).param_groups}
    assert min(factors) < 0.7**2 < max(factors) == 1.0


@ALL
@pytest.mark.parametrize("source", ["res5", "p5"])
def test_pyramids_of_one_stage_detectors(backbone, source):
    """p3 to p7, every map of the declared shape."""
    pyramid = backbone.build_p3_to_p7(top_source=source)
    assert list(pyramid.feature_specs) == ["p3", "p4", "p5", "p6", "p7"]
    maps = pyramid(torch.zeros(1, 3, 64, 96))
    for name, spec in pyramid.feature_specs.items():
        assert maps[name].shape == (1, 8, -(-64 // spec.stride), -(-96 // spec.stride))
    assert RetinaNetRecipe(backbone=backbone).backbone is backbone


@ALL
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_start_the_transformer(tmp_path, backbone, suffix):
    """Files of ours, and of ImageNet; the pyramid stays as it was drawn."""
    path = tmp_path / f"trunk{suffix}"
    source = backbone.build().bottom_up
    tensors = {name: torch.randn_like(value) for name, value in source.state_dict().items()}
    if suffix == ".pth":
        torch.save({"model": tensors | {"head.weight": torch.zeros(3, 4)}}, path)
    else:
        write_tensors(path, tensors)
    pyramid = backbone.build()
    before = {name: value.clone() for name, value in pyramid.state_dict().items()}
    attrs.evolve(backbone, weights=path).load_initial_weights(pyramid)
    for name, value in pyramid.state_dict().items():
        wanted = tensors.get(name.removeprefix("bottom_up."), before[name])
        assert torch.equal(value, wanted), name


def test_weights_of_another_size_are_refused(tmp_path):
    """With the table of what differs, and nothing loaded."""
    path = tmp_path / "trunk.safetensors"
    write_tensors(path, attrs.evolve(SWIN, channels=16).build().bottom_up.state_dict())
    with pytest.raises(CheckpointError, match=r"trunk\.safetensors"):
        attrs.evolve(SWIN, weights=path).load_initial_weights(SWIN.build())
