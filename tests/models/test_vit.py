"""ViT: equal to timm's networks on equal weights, and what a backbone owes."""

from functools import partial

import pytest
import torch
from torch import nn

from geodet.engine import parameter_groups
from geodet.errors import CompositionError, ShapeError
from geodet.models.backbones import RelativeAttention, ViT, ViTBlock, vit
from geodet.models.layers import PatchEmbed


def _tiny(**changes):
    torch.manual_seed(0)
    options = {
        "channels": 32,
        "depth": 3,
        "num_heads": 4,
        "global_blocks": (1,),
        "image_side": 96,
        "window_side": 4,
        "position_side": 6,
        "drop_path": 0.0,
    }
    return vit(**{**options, **changes})


def _shake(model: nn.Module) -> nn.Module:
    """Draw every parameter, so that none of them is 0 or 1 by construction."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def _sam_encoder(side: int, **changes):
    sam = pytest.importorskip("timm.models.vision_transformer_sam")
    options = {
        "img_size": side,
        "embed_dim": 32,
        "depth": 3,
        "num_heads": 4,
        "use_rel_pos": True,
        "window_size": 4,
        "global_attn_indexes": (1,),
        "norm_layer": partial(nn.LayerNorm, eps=1e-6),
        "neck_chans": 0,
        "num_classes": 0,
    }
    return _shake(sam.VisionTransformerSAM(**{**options, **changes})).eval()


def _weights_of_sam(encoder) -> dict[str, torch.Tensor]:
    """The same names but for the neck, and positions with the slot of a class token."""
    weights = {
        name: value
        for name, value in encoder.state_dict().items()
        if not name.startswith(("neck.", "head."))
    }
    slot = torch.full((1, 1, 32), 100.0)  # must have no influence
    weights["pos_embed"] = torch.cat([slot, weights["pos_embed"].flatten(1, 2)], dim=1)
    return weights


@pytest.mark.parametrize("training", [False, True])
def test_equals_the_image_encoder_of_segment_anything(training):
    """Timm's SAM encoder: windows of 4 on a grid of 6, relative positions, one global block.

    In training mode the attention is computed by other lines (its bias learns), so both count.
    """
    theirs = _sam_encoder(96)
    ours = _tiny()
    ours.load_state_dict(_weights_of_sam(theirs))
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    wanted = theirs.forward_intermediates(images, indices=[2], intermediates_only=True)[0]
    with torch.set_grad_enabled(training):
        got = ours(images)["last_feat"]
    # float32 sums of 32 products in another order; outputs reach 20.
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_tables_made_for_another_size_are_interpolated_as_in_segment_anything():
    """A 64 x 160 image: relative positions of the global block stretch along each axis."""
    theirs = _sam_encoder(96, use_abs_pos=False)
    ours = _tiny(position_side=None).eval()
    weights = {k: v for k, v in theirs.state_dict().items() if not k.startswith("neck.")}
    ours.load_state_dict(weights)
    images = torch.randn(1, 3, 64, 160, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = theirs.forward_intermediates(images, indices=[2], intermediates_only=True)[0]
        got = ours(images)["last_feat"]
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_equals_a_plain_vision_transformer():
    """Timm's ViT: global attention, no relative positions, no windows."""
    timm_vit = pytest.importorskip("timm.models.vision_transformer")
    theirs = timm_vit.VisionTransformer(
        img_size=64,
        embed_dim=32,
        depth=2,
        num_heads=4,
        num_classes=0,
        class_token=False,
        global_pool="avg",
        fc_norm=False,
    )
    _shake(theirs).eval()
    ours = _tiny(
        depth=2,
        global_blocks=(0, 1),
        relative_positions=False,
        image_side=64,
        position_side=4,
        class_token=False,
    )
    weights = theirs.state_dict()
    ours.load_state_dict({k: v for k, v in weights.items() if not k.startswith("norm.")})
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = theirs.forward_intermediates(images, indices=[1], intermediates_only=True)[0]
        got = ours(images)["last_feat"]
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_tokens_of_different_windows_meet_in_global_blocks_only():
    """What changes when one corner pixel does: its window, or everything."""

    def reached(**changes):
        model = _shake(_tiny(depth=1, image_side=128, position_side=None, **changes)).eval()
        images = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
        other = images.clone()
        other[0, 0, 0, 0] += 1.0
        with torch.no_grad():
            change = model(images)["last_feat"] - model(other)["last_feat"]
        return (change[0] != 0).any(dim=0)

    windowed = reached(global_blocks=())
    assert windowed[:4, :4].all()
    assert not windowed[4:].any()
    assert not windowed[:, 4:].any()
    assert reached(global_blocks=(0,)).all()


def test_a_conv_residual_starts_as_the_identity_and_then_learns():
    """Its last scale is 0; the other blocks are untouched by it."""
    plain, with_convs = _tiny(), _tiny(conv_blocks=(2,))
    with_convs.load_state_dict(plain.state_dict(), strict=False)
    images = torch.randn(1, 3, 96, 96)
    assert torch.equal(plain(images)["last_feat"], with_convs(images)["last_feat"])
    with_convs(images)["last_feat"].square().mean().backward()
    assert with_convs.blocks[2].residual.norm3.weight.grad.any()


def test_every_parameter_gets_a_gradient():
    """Positions, tables, norms, convolutions: all of them; the class token's slot gets none."""
    model = _shake(_tiny(conv_blocks=(0, 2), drop_path=0.1))
    model(torch.randn(2, 3, 96, 96))["last_feat"].square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    assert not model.pos_embed.grad[:, 0].any()


def test_checkpointing_changes_no_gradient():
    """The second computation of a block drops the same samples as the first."""
    images = torch.randn(4, 3, 64, 64)
    gradients = []
    for checkpointing in (False, True):
        model = _shake(_tiny(drop_path=0.5, checkpointing=checkpointing)).train()
        torch.manual_seed(3)
        model(images)["last_feat"].square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_images_of_a_batch_do_not_see_each_other():
    """Alone or beside another image: the same map."""
    model = _shake(_tiny()).eval()
    images = torch.randn(3, 3, 96, 64)
    with torch.no_grad():
        together = model(images)["last_feat"]
        for image, wanted in zip(images, together, strict=True):
            torch.testing.assert_close(model(image[None])["last_feat"][0], wanted)


@pytest.mark.parametrize("size", [(16, 16), (96, 96), (32, 208)])
def test_maps_are_as_declared_and_no_image_is_fine(size):
    """Any multiple of the patch, smaller than a window and larger than the tables."""
    model = _tiny()
    spec = model.feature_specs["last_feat"]
    assert (spec.channels, spec.stride, model.size_divisor) == (32, 16, 16)
    for batch in (0, 2):
        maps = model(torch.zeros(batch, 3, *size))["last_feat"]
        assert maps.shape == (batch, 32, size[0] // 16, size[1] // 16)


def test_bfloat16_autocast_is_close():
    """Half precision costs digits, not meaning; both modes run."""
    model = _tiny()
    images = torch.randn(1, 3, 96, 96)
    exact = model(images)["last_feat"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(images)["last_feat"]
        with torch.no_grad():
            also_rough = model(images)["last_feat"]
    rough.float().sum().backward()
    for other in (rough, also_rough):
        assert (other.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_weights_are_drawn_from_the_seed():
    """Two of one seed are equal, and the tables of relative positions start at 0."""
    one, other = _tiny(), _tiny()
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    assert not one.blocks[0].attn.rel_pos_h.any()
    assert float(one.blocks[0].mlp.fc1.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_size_that_does_not_divide_into_patches_is_an_error():
    """Detectron2's convolution would drop the rest of the image."""
    with pytest.raises(ShapeError, match=r"multiples of 16.*40 x 64.*size_divisor=16"):
        _tiny()(torch.zeros(1, 3, 40, 64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"global_blocks": (3,)}, r"global_blocks in 0..2, got \[3\]"),
        ({"conv_blocks": (-1,)}, r"conv_blocks in 0..2, got \[-1\]"),
        ({"num_heads": 5}, "num_heads to divide channels=32, got 5"),
        ({"image_side": 100}, "image_side to be a multiple of patch_side=16"),
    ],
)
def test_numbers_that_do_not_fit_fail_at_construction(changes, message):
    """Named before the first image."""
    with pytest.raises(CompositionError, match=message):
        _tiny(**changes)


def test_blocks_of_other_channels_fail_at_construction():
    """Both parts are named."""
    attention = RelativeAttention(16, num_heads=2, table_hw=None)
    block = ViTBlock(16, attention=attention, norm=nn.LayerNorm)
    patches = PatchEmbed(3, 32, kernel_size=16, stride=16)
    with pytest.raises(CompositionError, match=r"PatchEmbed gives 32.*blocks of \[16\]"):
        ViT(patch_embed=patches, blocks=[block])


def test_layers_of_a_learning_rate_are_those_of_vitdet():
    """Patches and positions, then the blocks; convolution blocks and the rest learn at full rate.

    ViTDet: decay ** (depth + 1) for the patches, decay ** (depth - i) for block i.
    """
    model = _tiny(conv_blocks=(2,))
    groups = parameter_groups(model, weight_decay=0.1, layer_decay=0.7, undecayed=("pos_embed",))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {names[id(p)]: group for group in groups for p in group["params"]}
    assert len(found) == len(list(model.parameters()))
    for name, group in found.items():
        power = 4  # pos_embed, patch_embed
        if name.startswith("blocks."):
            power = 0 if ".residual." in name else 3 - int(name.split(".")[1])
        assert group["lr_factor"] == pytest.approx(0.7**power), name
        assert group["weight_decay"] == (0.0 if name == "pos_embed" else 0.1)
