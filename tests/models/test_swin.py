"""Swin: equal to torchvision's network on equal weights, and what a backbone owes."""

import pytest
import torch
from torch import nn

from geodet.errors import CompositionError
from geodet.models.backbones import Swin, SwinBlock, SwinPatches, SwinStage, swin
from geodet.models.layers import split_windows
from geodet.models.necks import FPN
from geodet.models.published import DETECTRON2, load_detectron2, published_names

_HEADS = (2, 4, 8)
_PARTS = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


def _tiny(**changes):
    torch.manual_seed(0)
    levels = ("scale2", "scale3", "scale4")
    options = {
        "channels": 16,
        "depths": (2, 2, 3),
        "num_heads": _HEADS,
        "drop_path": 0.0,
        "out_features": levels,
    }
    return swin(**{**options, **changes})


def _shake(model: nn.Module) -> nn.Module:
    """Draw every parameter, so that none of them is 0 or 1 by construction."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def _our_name(name: str) -> str | None:
    """Name in `Swin` of a tensor of torchvision's; None for what a detector has no use for."""
    kind, *rest = name.split(".")
    if kind != "features" or rest[-1] == "relative_position_index":
        return None
    position = int(rest[0])
    if position == 0:
        return ".".join(["patch_embed", {"0": "proj", "2": "norm"}[rest[1]], rest[2]])
    stage, is_merging = divmod(position - 1, 2)
    if is_merging:
        return ".".join([f"layers.{stage}.downsample", *rest[1:]])
    tail = ".".join(rest[2:]).replace("mlp.0.", "mlp.fc1.").replace("mlp.3.", "mlp.fc2.")
    return f"layers.{stage}.blocks.{rest[1]}.{tail}"


@pytest.mark.parametrize("size", [(128, 128), (130, 170)])
@pytest.mark.parametrize("training", [False, True])
def test_every_stage_equals_torchvision(size, training):
    """Equal weights, stage by stage; the second size pads patches, windows and mergings.

    With gradients the attention is computed by other lines (its bias learns), so both count.
    Smaller images differ on purpose: there torchvision stops shifting.
    """
    models = pytest.importorskip("torchvision.models.swin_transformer")
    theirs = models.SwinTransformer(
        patch_size=[4, 4],
        embed_dim=16,
        depths=[2, 2, 3],
        num_heads=list(_HEADS),
        window_size=[7, 7],
        stochastic_depth_prob=0.0,
        num_classes=1,
    )
    _shake(theirs).eval()
    ours = _tiny()
    named = {_our_name(name): value for name, value in theirs.state_dict().items()}
    named.pop(None)
    missing, unexpected = ours.load_state_dict(named, strict=False)
    assert not unexpected
    assert {name.split(".")[0] for name in missing} == {"norm0", "norm1", "norm2"}
    for i in range(3):
        setattr(ours, f"norm{i}", nn.Identity())
    images = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    images = nn.functional.interpolate(images, size=size)
    # torchvision drops what does not fill a patch; Detectron2 and we keep it, beside zeros.
    padded = nn.functional.pad(images, (0, -size[1] % 4, 0, -size[0] % 4))
    with torch.set_grad_enabled(training):
        maps = ours(images)
        tokens = padded
        for i, name in enumerate(maps):
            tokens = theirs.features[2 * i : 2 * i + 2](tokens)
            wanted = tokens.permute(0, 3, 1, 2)
            # float32 sums in another order; outputs reach 100 in the last stage.
            torch.testing.assert_close(maps[name], wanted, rtol=1e-4, atol=1e-3)


def test_shifted_windows_mix_neighbours_only():
    """Tokens reach others of their shifted window that were beside them before the roll."""
    torch.manual_seed(0)
    block = SwinBlock(8, num_heads=2, norm=nn.LayerNorm, window_side=4, shift=2)
    nn.init.normal_(block.attn.qkv.weight)
    tokens = torch.randn(1, 8, 8, 8)
    for row, column in ((0, 0), (3, 5), (7, 7)):
        other = tokens.clone()
        other[0, row, column, 0] += 1.0
        with torch.no_grad():
            change = (block(tokens) - block(other))[0].ne(0).any(dim=-1)
        wanted = torch.zeros(8, 8, dtype=torch.bool)
        groups = (range(2), range(2, 6), range(6, 8))  # the windows, moved by two, cut at the edge
        rows = next(group for group in groups if row in group)
        columns = next(group for group in groups if column in group)
        wanted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        assert torch.equal(change, wanted), (row, column)


def test_bias_of_a_pair_is_a_row_of_the_table_by_its_offset():
    """Row (dy + s - 1) * (2 s - 1) + dx + s - 1 for a query dy below and dx right of a key."""
    attention = SwinBlock(8, num_heads=2, norm=nn.LayerNorm, window_side=3).attn
    grid = torch.stack(torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij"), dim=-1)
    places = split_windows(grid[None], 3).view(9, 2)
    for i, (y, x) in enumerate(places.tolist()):
        for j, (v, u) in enumerate(places.tolist()):
            assert attention.relative_position_index[i, j] == (y - v + 2) * 5 + x - u + 2


def test_absolute_positions_are_added_and_resized():
    """The option adds one embedding per token; the learnt size is used as it is."""
    model, without = _tiny(position_side=16).eval(), _tiny().eval()
    without.load_state_dict(model.state_dict(), strict=False)
    images = torch.randn(1, 3, 64, 64)
    assert not torch.equal(model(images)["scale2"], without(images)["scale2"])
    with torch.no_grad():
        model.absolute_pos_embed.zero_()
    assert torch.equal(model(images)["scale2"], without(images)["scale2"])
    assert model(torch.zeros(1, 3, 32, 96))["scale2"].shape == (1, 16, 8, 24)


def test_every_parameter_gets_a_gradient():
    """Tables, norms, mergings: all of them."""
    model = _shake(_tiny(position_side=8, drop_path=0.1))
    maps = model(torch.randn(2, 3, 64, 64))
    sum(value.square().mean() for value in maps.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("freeze_at", [0, 1, 2])
def test_frozen_parts_have_no_gradient(freeze_at):
    """From the patches on; positions freeze with the patches."""
    model = _tiny(position_side=8, freeze_at=freeze_at)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    prefixes = [("patch_embed.", "absolute_pos_embed"), ("layers.0.",)][:freeze_at]
    wanted = {
        name
        for name, _ in model.named_parameters()
        if any(name.startswith(group) for group in prefixes)
    }
    assert frozen == wanted


def test_checkpointing_changes_no_gradient():
    """The second computation of a block drops the same samples as the first."""
    images = torch.randn(4, 3, 32, 32)
    gradients = []
    for checkpointing in (False, True):
        model = _shake(_tiny(drop_path=0.5, checkpointing=checkpointing)).train()
        torch.manual_seed(3)
        model(images)["scale4"].square().mean().backward()
        gradients.append([parameter.grad for parameter in model.layers.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_images_of_a_batch_do_not_see_each_other():
    """Alone or beside another image: the same maps, shifted windows and their masks included."""
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
    assert strides == {"scale2": 4, "scale3": 8, "scale4": 16}
    for batch in (0, 1):
        maps = model(torch.zeros(batch, 3, *size))
        for name, spec in model.feature_specs.items():
            wanted = [-(-side // spec.stride) for side in size]
            assert list(maps[name].shape) == [batch, spec.channels, *wanted]


def test_only_maps_asked_for_come_out():
    """And only they have norms."""
    model = _tiny(out_features=("scale2", "scale4"))
    assert list(model(torch.zeros(1, 3, 32, 32))) == ["scale2", "scale4"]
    norms = {name for name, _ in model.named_children() if name.startswith("norm")}
    assert norms == {"norm0", "norm2"}


def test_nothing_after_the_last_map_is_built():
    """Nor trained in vain; what is built has the drop rates of the whole network."""
    short, whole = _tiny(out_features=("scale3",), drop_path=0.3), _tiny(drop_path=0.3)
    assert len(short.layers) == 2
    assert short.layers[1].downsample is None
    rates = [block.drop_path.probability for block in short.layers[1].blocks]
    assert rates == [block.drop_path.probability for block in whole.layers[1].blocks]


def test_bfloat16_autocast_is_close():
    """Half precision costs digits, not meaning; both ways of computing attention run."""
    model = _tiny()
    images = torch.randn(1, 3, 64, 64)
    exact = model(images)["scale4"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(images)["scale4"]
        with torch.no_grad():
            also_rough = model(images)["scale4"]
    rough.float().sum().backward()
    for other in (rough, also_rough):
        assert (other.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_one_seed_gives_one_network():
    """And the index of offsets is no weight to save."""
    one, other = _tiny().state_dict(), _tiny().state_dict()
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert not any("relative_position_index" in name for name in one)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": (2, 4)}, "as many num_heads as depths"),
        ({"num_heads": (3, 4, 8)}, "num_heads to divide channels=16, got 3"),
        ({"out_features": ("res2",)}, r"out_features among \['scale2'.*got \['res2'\]"),
        ({"out_features": ()}, "out_features"),
        ({"freeze_at": 5}, "freeze_at in 0..4"),
    ],
)
def test_numbers_that_do_not_fit_fail_at_construction(changes, message):
    """Named before the first image."""
    with pytest.raises(CompositionError, match=message):
        _tiny(**changes)


def test_parts_that_do_not_fit_fail_at_construction():
    """A stage of other channels, or one that leads nowhere; a shift as large as a window."""
    patches = SwinPatches(3, 16, norm=None)
    block = SwinBlock(8, num_heads=2, norm=nn.LayerNorm)
    stage = SwinStage([block], channels=8, downsample=None)
    with pytest.raises(CompositionError, match=r"stage 0 has 8 channels.*expected 16"):
        Swin(patch_embed=patches, stages=[stage], norm=nn.LayerNorm)
    with pytest.raises(CompositionError, match=r"shift in 0..6.*got 7"):
        SwinBlock(8, num_heads=2, norm=nn.LayerNorm, window_side=7, shift=7)


def test_a_file_of_imagenet_weights_loads_by_its_own_names(tmp_path):
    """Names of the original files, which Detectron2 keeps: constants in them are left out.

    They hold a classifier, which has no place here, and none of the norms of the maps.
    """
    source, model = _shake(_tiny(drop_path=0.1)), _tiny()
    weights = {k: v for k, v in source.state_dict().items() if not k.startswith("norm")}
    blocks = {name.rpartition(".attn.")[0] for name in weights if ".attn." in name}
    constants = {f"{block}.attn.relative_position_index": torch.zeros(49, 49) for block in blocks}
    constants["layers.0.blocks.1.attn_mask"] = torch.zeros(4, 49, 49)
    classifier = {"norm.weight": torch.ones(64), "head.weight": torch.ones(7, 64)}
    torch.save({"model": {**weights, **constants, **classifier}}, tmp_path / "swin.pth")
    report = load_detectron2(model, tmp_path / "swin.pth")
    assert set(report.loaded) == set(weights)
    assert {row.name.split(".")[0] for row in report.skipped} == {"norm0", "norm1", "norm2"}
    assert set(report.ignored) == set(constants) | set(classifier)
    for name, value in weights.items():
        assert torch.equal(model.state_dict()[name], value)


def test_names_are_detectron2s():
    """Under a pyramid, as in its files of whole detectors."""
    model = FPN(_tiny(), in_features=("scale2", "scale3", "scale4"), channels=8)
    names = set(published_names(model, DETECTRON2).values())
    block = "bottom_up.layers.1.blocks.0"
    wanted = {f"{block}.{part}.{kind}" for kind in ("weight", "bias") for part in _PARTS}
    wanted |= {
        f"{block}.attn.relative_position_bias_table",
        "bottom_up.layers.0.downsample.reduction.weight",
        "bottom_up.layers.0.downsample.norm.bias",
        "bottom_up.norm2.weight",
        "bottom_up.patch_embed.proj.bias",
        "bottom_up.patch_embed.norm.weight",
        "fpn_lateral2.weight",
    }
    assert wanted <= names


def test_layers_of_a_learning_rate_are_the_blocks():
    """Patches and positions, then seven blocks; the norms of the maps are above them."""
    model = _tiny(position_side=8)
    layers = model.parameter_layers()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    listed = [names[id(parameter)] for layer in layers for parameter in layer]
    assert len(layers) == 8
    assert len(set(listed)) == len(listed)
    assert {n for n in names.values() if not n.startswith("norm")} == set(listed)
    second = {names[id(parameter)] for parameter in layers[2]}
    assert "layers.0.blocks.1.norm1.weight" in second
    assert "layers.0.downsample.reduction.weight" in second
