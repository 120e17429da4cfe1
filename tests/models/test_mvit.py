"""MViTv2: equal to timm's network on equal weights, windows by hand, and what a backbone owes."""

import pytest
import torch
from torch import nn

from geodet.errors import CompositionError
from geodet.models.backbones import MViT, MViTBlock, PoolingAttention, mvit
from geodet.models.layers import PatchEmbed
from geodet.models.published import DETECTRON2, published_names


def _tiny(**changes):
    torch.manual_seed(0)
    options = {
        "channels": 8,
        "depth": 6,
        "num_heads": 1,
        "stage_ends": (0, 2, 4, 5),
        "drop_path": 0.0,
        "image_side": 64,
        "window_side": 8,
    }
    return mvit(**{**options, **changes})


def _shake(model: nn.Module) -> nn.Module:
    """Draw every parameter, so that none of them is 0 or 1 by construction."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def _as_timm_has_it() -> MViT:
    """Global attention everywhere, keys as dense at the end of a stage as within it."""
    blocks, before = [], 8
    for channels, heads, stride, key_stride, side in (
        (8, 1, 1, 4, 16),
        (16, 2, 2, 2, 16),
        (16, 2, 1, 2, 8),
        (32, 4, 2, 1, 8),
        (32, 4, 1, 1, 4),
    ):
        attention = PoolingAttention(
            before,
            channels,
            num_heads=heads,
            query_stride=stride,
            key_stride=key_stride,
            table_side=side,
        )
        blocks.append(MViTBlock(before, channels, attention=attention))
        before = channels
    return MViT(
        patch_embed=PatchEmbed(3, 8, kernel_size=7, stride=4, padding=3),
        blocks=blocks,
        stage_ends=(0, 2, 4),
        out_features=("scale2", "scale3", "scale4"),
    )


@pytest.mark.parametrize("training", [False, True])
def test_every_stage_equals_timm(training):
    """Pooled attention with relative positions, residual pooling, all three kinds of shortcut.

    With gradients the attention is computed by other lines (its bias learns), so both count.
    """
    timm_mvit = pytest.importorskip("timm.models.mvitv2")
    config = timm_mvit.MultiScaleVitCfg(
        depths=(1, 2, 2),
        embed_dim=(8, 16, 32),
        num_heads=(1, 2, 4),
        stride_q=((1, 1), (2, 2), (2, 2)),
        stride_kv=((4, 4), (2, 2), (1, 1)),
        expand_attn=True,
        use_cls_token=False,
    )
    theirs = timm_mvit.MultiScaleVit(config, img_size=(64, 64), num_classes=0)
    _shake(theirs).eval()
    ours = _as_timm_has_it()
    starts = (0, 1, 3)
    named = {}
    for name, value in theirs.state_dict().items():
        words = name.replace("shortcut_proj_attn", "proj").split(".")
        if words[0] == "stages":
            words = ["blocks", str(starts[int(words[1])] + int(words[3])), *words[4:]]
        if words[0] != "norm":
            named[".".join(words)] = value
    missing, unexpected = ours.load_state_dict(named, strict=False)
    assert not unexpected
    assert {name.split(".")[0] for name in missing} == {f"scale{i}_norm" for i in (2, 3, 4)}
    for i in (2, 3, 4):
        setattr(ours, f"scale{i}_norm", nn.Identity())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    wanted = theirs.forward_intermediates(images, intermediates_only=True)
    with torch.set_grad_enabled(training):
        maps = ours(images)
    assert len(maps) == len(wanted) == 3
    for got, value in zip(maps.values(), wanted, strict=True):
        # float32 sums in another order; outputs reach 10.
        torch.testing.assert_close(got, value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("query_stride", "key_stride"), [(1, 1), (1, 2), (2, 1), (2, 4)])
def test_windows_are_attention_of_each_window_alone(query_stride, key_stride):
    """With pooling that only picks tokens, a window knows nothing of the others."""

    def make(window_side):
        torch.manual_seed(0)
        attention = PoolingAttention(
            8,
            16,
            num_heads=2,
            query_stride=query_stride,
            key_stride=key_stride,
            window_side=window_side,
            table_side=4,
        )
        _shake(attention)
        for name in "qkv":
            weight = torch.zeros(8, 1, 3, 3)
            weight[:, 0, 1, 1] = 1.0
            attention.get_submodule(f"pool_{name}").weight = nn.Parameter(weight)
        return attention

    tokens = torch.randn(2, 8, 12, 8, generator=torch.Generator().manual_seed(0))
    windowed, whole = make(4), make(None)
    out = windowed(tokens)
    side = 4 // query_stride
    assert out.shape == (2, 2 * side, 3 * side, 16)
    for row in range(2):
        for column in range(3):
            window = tokens[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            there = out[:, side * row : side * (row + 1), side * column : side * (column + 1)]
            torch.testing.assert_close(there, whole(window), rtol=1e-4, atol=1e-5)


def test_numbers_of_the_blocks_are_detectron2s():
    """MViTv2-T: channels, heads, strides, windows and tables of its ten blocks, by its rules."""
    with torch.device("meta"):
        model = mvit()
    rows = [
        (
            block.in_channels,
            block.channels,
            block.attn.num_heads,
            block.attn.query_stride,
            block.attn.key_stride,
            block.attn.window_side,
            len(block.attn.rel_pos_h),
        )
        for block in model.blocks
    ]
    assert rows == [
        (96, 96, 1, 1, 4, 56, 111),
        (96, 192, 2, 2, 2, 56, 55),
        (192, 192, 2, 1, 4, None, 55),
        (192, 384, 4, 2, 1, 28, 55),
        (384, 384, 4, 1, 1, 14, 27),
        (384, 384, 4, 1, 1, 14, 27),
        (384, 384, 4, 1, 1, 14, 27),
        (384, 384, 4, 1, 2, None, 27),
        (384, 768, 8, 2, 1, 14, 27),
        (768, 768, 8, 1, 1, None, 13),
    ]


def test_every_parameter_gets_a_gradient():
    """Tables, pools, norms, shortcuts: all of them; the class token's slot gets none."""
    model = _shake(_tiny(position_side=16, drop_path=0.1))
    maps = model(torch.randn(2, 3, 64, 64))
    sum(value.square().mean() for value in maps.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    assert not model.pos_embed.grad[:, 0].any()


def test_checkpointing_changes_no_gradient():
    """The second computation of a block drops the same samples as the first."""
    images = torch.randn(4, 3, 32, 32)
    gradients = []
    for checkpointing in (False, True):
        model = _shake(_tiny(drop_path=0.5, checkpointing=checkpointing)).train()
        torch.manual_seed(3)
        model(images)["scale5"].square().mean().backward()
        gradients.append([parameter.grad for parameter in model.blocks.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_images_of_a_batch_do_not_see_each_other():
    """Alone or beside another image: the same maps."""
    model = _shake(_tiny()).eval()
    images = torch.randn(3, 3, 96, 64)
    with torch.no_grad():
        together = model(images)
        for i in range(3):
            for name, value in model(images[i : i + 1]).items():
                torch.testing.assert_close(value[0], together[name][i], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (75, 133)])
def test_maps_are_as_declared_and_no_image_is_fine(size):
    """Any size; each map is the ceiling of the image over its stride."""
    model = _tiny()
    strides = {name: spec.stride for name, spec in model.feature_specs.items()}
    assert strides == {"scale2": 4, "scale3": 8, "scale4": 16, "scale5": 32}
    for batch in (0, 1):
        maps = model(torch.zeros(batch, 3, *size))
        for name, spec in model.feature_specs.items():
            wanted = [-(-side // spec.stride) for side in size]
            assert list(maps[name].shape) == [batch, spec.channels, *wanted]


def test_nothing_after_the_last_map_is_built():
    """Nor trained in vain; the blocks before are what they were."""
    short, whole = _tiny(out_features=("scale2", "scale4")), _tiny()
    assert list(short(torch.zeros(1, 3, 32, 32))) == ["scale2", "scale4"]
    names = [name for name, _ in short.named_parameters() if name.startswith("blocks.")]
    assert names == [
        name
        for name, _ in whole.named_parameters()
        if name.startswith("blocks.") and int(name.split(".")[1]) <= 4
    ]
    assert short.blocks[4].attn.key_stride == whole.blocks[4].attn.key_stride == 2


def test_bfloat16_autocast_is_close():
    """Half precision costs digits, not meaning; both ways of computing attention run."""
    model = _tiny()
    images = torch.randn(1, 3, 64, 64)
    exact = model(images)["scale5"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(images)["scale5"]
        with torch.no_grad():
            also_rough = model(images)["scale5"]
    rough.float().sum().backward()
    for other in (rough, also_rough):
        assert (other.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_names_are_detectron2s():
    """Blocks, pools, norms of the maps; one seed gives one network."""
    one, other = _tiny(), _tiny().state_dict()
    assert all(torch.equal(value, other[name]) for name, value in one.state_dict().items())
    names = set(published_names(one, DETECTRON2).values())
    assert {
        "patch_embed.proj.weight",
        "blocks.0.attn.qkv.weight",
        "blocks.0.attn.pool_q.weight",
        "blocks.0.attn.norm_v.bias",
        "blocks.0.attn.rel_pos_w",
        "blocks.1.proj.weight",
        "blocks.5.mlp.fc2.bias",
        "scale2_norm.weight",
        "scale5_norm.bias",
    } <= names
    assert not any("pos_embed" in name for name in names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage_ends": (0, 2, 4)}, r"end at the last block, 5, got \[0, 2, 4\]"),
        ({"stage_ends": (2, 0, 4, 5)}, "stage_ends that grow"),
        ({"num_heads": 3}, "num_heads to divide channels=8, got 3"),
        ({"window_side": 6}, "divide window_side=6, got 1 and 4"),
        ({"out_features": ("res2",)}, r"out_features among \['scale2'.*got \['res2'\]"),
    ],
)
def test_numbers_that_do_not_fit_fail_at_construction(changes, message):
    """Named before the first image."""
    with pytest.raises(CompositionError, match=message):
        _tiny(**changes)


def test_blocks_that_do_not_fit_fail_at_construction():
    """The position and both numbers are named."""
    block = MViTBlock(4, 8, attention=PoolingAttention(4, 8, num_heads=2))
    patches = PatchEmbed(3, 8, kernel_size=7, stride=4, padding=3)
    with pytest.raises(CompositionError, match="block 0 expects 4 channels, gets 8"):
        MViT(patch_embed=patches, blocks=[block], stage_ends=(0,), out_features=("scale2",))


def test_layers_of_a_learning_rate_are_the_blocks():
    """Patches and positions, then six blocks; the norms of the maps are above them."""
    model = _tiny(position_side=16)
    layers = model.parameter_layers()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    listed = [names[id(parameter)] for layer in layers for parameter in layer]
    assert len(layers) == 7
    assert len(set(listed)) == len(listed)
    assert {n for n in names.values() if not n.startswith("scale")} == set(listed)
