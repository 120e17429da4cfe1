"""ResNet: the same function as torchvision's, and what it refuses."""

import json
import re

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from geodet.errors import CompositionError, ShapeError
from geodet.models import FeatureSpec, FrozenBatchNorm2d, group_norm, resnet
from geodet.models.backbones import (
    BasicStem,
    DeepStem,
    DeformBottleneckBlock,
    ResNet,
    resnet_stage,
)
from geodet.models.features import check_feature_maps
from geodet.models.layers import LayerNorm2d
from geodet.structures import ImageSize


def _torchvision_name(name):
    """Our name of a tensor -> torchvision's."""
    name = re.sub(r"^stem\.conv1\.norm", "bn1", name).replace("stem.conv1", "conv1")
    name = re.sub(r"^res(\d)", lambda match: f"layer{int(match[1]) - 1}", name)
    name = re.sub(r"shortcut\.norm", "downsample.1", name).replace("shortcut", "downsample.0")
    return re.sub(r"conv(\d)\.norm", r"bn\1", name)


def _assert_near(given, wanted):
    """Equal up to float32 in another order of operations, over up to 101 layers.

    Sums of many terms cancel, so an error is measured against the map, not against its cell.
    """
    assert given.shape == wanted.shape
    assert (given - wanted).abs().max() < 1e-4 * wanted.abs().max()


def _with_weights_of(peer, model):
    state = peer.state_dict()
    model.load_state_dict({name: state[_torchvision_name(name)] for name in model.state_dict()})
    return model


@pytest.mark.parametrize(
    ("depth", "peer", "options"),
    [
        (18, "resnet18", {}),
        (50, "resnet50", {}),
        (50, "resnext50_32x4d", {"groups": 32, "width_per_group": 4}),
        pytest.param(34, "resnet34", {}, marks=pytest.mark.slow),
        pytest.param(101, "resnet101", {}, marks=pytest.mark.slow),
        pytest.param(
            101,
            "resnext101_32x8d",
            {"groups": 32, "width_per_group": 8},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_maps_equal_torchvision(depth, peer, options):
    """With torchvision's weights every stage gives torchvision's map."""
    torch.manual_seed(0)
    peer = getattr(torchvision.models, peer)(weights=None).eval()
    model = _with_weights_of(peer, resnet(depth, **options))
    image = torch.randn(1, 3, 70, 64)
    features = peer.maxpool(peer.relu(peer.bn1(peer.conv1(image))))
    with torch.no_grad():
        maps = model(image)
        for i in range(4):
            features = getattr(peer, f"layer{i + 1}")(features)
            _assert_near(maps[f"res{i + 2}"], features)
    check_feature_maps(maps, model.feature_specs, ImageSize(70, 64))


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_parameter_counts_equal_torchvision(depth):
    """Every depth has as many trainable numbers as torchvision's, less the classifier."""
    with torch.device("meta"):
        peer = getattr(torchvision.models, f"resnet{depth}")(weights=None)
        model = resnet(depth, norm=nn.BatchNorm2d)
    wanted = sum(p.numel() for name, p in peer.named_parameters() if "fc" not in name)
    assert sum(p.numel() for p in model.parameters()) == wanted


@pytest.mark.parametrize(
    ("name", "depth", "options"),
    [
        ("mask_rcnn_R_50_FPN", 50, {}),
        ("mask_rcnn_R_50_FPN_dconv", 50, {"deform_stages": ("res3", "res4", "res5")}),
        ("mask_rcnn_R_50_FPN_gn", 50, {"norm": group_norm(32)}),
        ("mask_rcnn_R_50_LSJ", 50, {"norm": nn.SyncBatchNorm}),
        ("mask_rcnn_X_101", 101, {"groups": 32, "width_per_group": 8}),
    ],
)
def test_names_and_shapes_are_those_of_detectron2(shared_dir, name, depth, options):
    """The trunk of a published Mask R-CNN fits tensor by tensor."""
    keys = json.loads((shared_dir / f"parity/keys/{name}.keys.json").read_text())
    prefix = "backbone.bottom_up."
    wanted = {k.removeprefix(prefix): shape for k, shape in keys.items() if k.startswith(prefix)}
    with torch.device("meta"):
        model = resnet(depth, **options)
    assert {name: list(value.shape) for name, value in model.state_dict().items()} == wanted


@pytest.mark.parametrize("name", ["faster_rcnn_R_50_C4", "mask_rcnn_R_50_C4"])
def test_c4_trunk_and_head_are_those_of_detectron2(shared_dir, name):
    """The trunk ends at res4; the fifth stage alone is the head's."""
    keys = json.loads((shared_dir / f"parity/keys/{name}.keys.json").read_text())
    with torch.device("meta"):
        trunk = resnet(50, stride_in_1x1=True, out_features=("res4",))
        head = resnet_stage("res5", stride_in_1x1=True)
    for part, prefix in ((trunk, "backbone."), (head, "roi_heads.res5.")):
        wanted = {k.removeprefix(prefix): v for k, v in keys.items() if k.startswith(prefix)}
        assert {name: list(value.shape) for name, value in part.state_dict().items()} == wanted
    assert (head.in_channels, head.out_channels, head.stride) == (1024, 2048, 2)


def test_stride_may_sit_in_either_convolution():
    """Same sizes, another place of the stride."""
    first = resnet(50, width=8, stride_in_1x1=True)
    second = resnet(50, width=8)
    assert first.res3[0].conv1.stride == second.res3[0].conv2.stride == (2, 2)
    assert first.res3[0].conv2.stride == second.res3[0].conv1.stride == (1, 1)


def test_dilated_last_stage_keeps_stride_16():
    """res5_dilation=2 gives a finer map with the same number of weights."""
    model = resnet(50, width=8, res5_dilation=2)
    assert model.feature_specs["res5"] == FeatureSpec(channels=256, stride=16)
    check_feature_maps(model(torch.randn(1, 3, 64, 96)), model.feature_specs, ImageSize(64, 96))


@pytest.mark.parametrize(
    ("res4", "res5", "grid", "strides"),
    [
        (1, 2, None, {"res4": 16, "res5": 16}),
        (1, 2, (1, 2, 4), {"res4": 16, "res5": 16}),
        (2, 4, None, {"res4": 8, "res5": 8}),
    ],
)
def test_dilated_stages_equal_timm_with_its_layers_changed(res4, res5, grid, strides):
    """Strides taken out of timm's stages and dilations put in, give the same maps."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    peer = timm.models.resnet.ResNet(
        timm.models.resnet.Bottleneck, (3, 4, 6, 3), channels=(8, 16, 32, 64)
    ).eval()
    for layer, dilation, factors in ((peer.layer3, res4, None), (peer.layer4, res5, grid)):
        for i, block in enumerate(layer):
            step = dilation * (1 if factors is None else factors[i])
            block.conv2.dilation = block.conv2.padding = (step, step)
            if dilation > 1:
                block.conv2.stride = (1, 1)
                if block.downsample is not None:
                    block.downsample[0].stride = (1, 1)
    model = _with_weights_of(
        peer,
        resnet(
            50,
            width=8,
            stem_channels=64,
            res4_dilation=res4,
            res5_dilation=res5,
            res5_multi_grid=grid,
        ),
    )
    assert {name: model.feature_specs[name].stride for name in strides} == strides
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        features = peer.maxpool(peer.act1(peer.bn1(peer.conv1(image))))
        maps = model(image)
        for i in range(4):
            features = getattr(peer, f"layer{i + 1}")(features)
            _assert_near(maps[f"res{i + 2}"], features)
    check_feature_maps(maps, model.feature_specs, ImageSize(64, 96))


def test_basic_blocks_dilate_too():
    """Both of their convolutions."""
    model = resnet(18, width=8, res5_dilation=2)
    assert model.feature_specs["res5"].stride == 16
    assert {layer.dilation for layer in (model.res5[1].conv1, model.res5[1].conv2)} == {(2, 2)}
    check_feature_maps(model(torch.randn(1, 3, 64, 96)), model.feature_specs, ImageSize(64, 96))


def test_deep_stem_equals_timm():
    """A deep stem of timm of half the width is the same three convolutions."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    peer = timm.models.resnet.ResNet(
        timm.models.resnet.BasicBlock, (1, 1, 1, 1), stem_type="deep", stem_width=8
    ).eval()
    stem = DeepStem(3, 16, norm=FrozenBatchNorm2d)
    names = {"conv1": ("0", "1"), "conv2": ("3", "4")}
    state = peer.conv1.state_dict()
    for name, value in peer.bn1.state_dict().items():
        state[f"7.{name}"] = value
    names["conv3"] = ("6", "7")
    wanted = {f"{ours}.weight": state[f"{conv}.weight"] for ours, (conv, _) in names.items()}
    for ours, (_, norm) in names.items():
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            wanted[f"{ours}.norm.{leaf}"] = state[f"{norm}.{leaf}"]
    stem.load_state_dict(wanted)
    image = torch.randn(2, 3, 34, 48)
    with torch.no_grad():
        expected = peer.maxpool(peer.act1(peer.bn1(peer.conv1(image))))
        torch.testing.assert_close(stem(image), expected, rtol=1e-4, atol=1e-5)
    assert (stem.stride, stem.out_channels) == (4, 16)


def test_deep_stem_is_twice_as_wide_unless_told():
    """As the ResNets of DeepLab, whose first stage reads 128 channels."""
    with torch.device("meta"):
        assert resnet(50, deep_stem=True).res2[0].conv1.in_channels == 128
        assert resnet(50, deep_stem=True, stem_channels=64).res2[0].conv1.in_channels == 64


@pytest.mark.parametrize("modulated", [False, True])
def test_deformable_block_follows_torchvisions_operator(modulated):
    """Offsets first, then factors: written out with torchvision's operator."""
    torch.manual_seed(0)
    block = DeformBottleneckBlock(
        16, 16, bottleneck_channels=8, stride=2, groups=2, offset_groups=2,
        modulated=modulated, norm=FrozenBatchNorm2d,
    )  # fmt: skip
    assert block.conv2_offset.weight.shape[0] == (54 if modulated else 36)
    assert not block.conv2_offset.weight.any()
    assert not block.conv2_offset.bias.any()
    nn.init.normal_(block.conv2_offset.weight, std=0.3)
    features = torch.randn(2, 16, 9, 12)
    with torch.no_grad():
        inner = functional.relu(block.conv1.norm(functional.conv2d(features, block.conv1.weight)))
        moves = functional.conv2d(
            inner, block.conv2_offset.weight, block.conv2_offset.bias, stride=2, padding=1
        )
        mask = None
        if modulated:
            first, second, mask = moves.chunk(3, dim=1)
            moves, mask = torch.cat([first, second], dim=1), mask.sigmoid()
        middle = torchvision.ops.deform_conv2d(
            inner, moves, block.conv2.weight, stride=2, padding=1, mask=mask
        )
        last = functional.relu(block.conv2.norm(middle))
        expected = functional.relu(block.conv3(last) + block.shortcut(features))
        torch.testing.assert_close(block(features), expected)


def test_deformable_network_starts_as_the_ordinary_one():
    """Zero offsets move nothing."""
    torch.manual_seed(0)
    plain = resnet(50, width=8)
    deform = resnet(50, width=8, deform_stages=("res4", "res5"))
    lost = deform.load_state_dict(plain.state_dict(), strict=False)
    assert lost.unexpected_keys == []
    assert {name.split(".")[-2] for name in lost.missing_keys} == {"conv2_offset"}
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for name, wanted in plain(image).items():
            torch.testing.assert_close(deform(image)[name], wanted, rtol=1e-4, atol=1e-4)


NORMS = {
    "batch": nn.BatchNorm2d,
    "sync": nn.SyncBatchNorm,
    "frozen": FrozenBatchNorm2d,
    "group": group_norm(4),
    "layer": LayerNorm2d,
}


@pytest.mark.parametrize("norm", NORMS)
def test_every_parameter_gets_a_gradient_under_every_norm(norm):
    """The same state and picture give the same maps again; nothing is left out of the graph."""
    torch.manual_seed(0)
    options = {"deform_stages": ("res5",), "deform_modulated": True}
    model = resnet(50, width=8, norm=NORMS[norm], deep_stem=True, **options)
    image = torch.randn(2, 3, 64, 64)
    sum(value.mean() for value in model(image).values()).backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert missing == []
    assert {name.rsplit(".", 1)[0] for name, p in model.named_parameters() if p.grad.any()} == {
        name.rsplit(".", 1)[0] for name, _ in model.named_parameters()
    }
    twin = resnet(50, width=8, norm=NORMS[norm], deep_stem=True, **options)
    twin.load_state_dict(model.state_dict())
    model.eval()
    twin.eval()
    with torch.no_grad():
        for name, value in model(image).items():
            assert torch.equal(twin(image)[name], value)
        assert model(image[:0])["res5"].shape == (0, 256, 2, 2)


@pytest.mark.parametrize("options", [{}, {"deform_stages": ("res3",)}])
def test_autocast_gives_half_precision_maps(options):
    """Near the maps of single precision, as far as 8 bits allow."""
    torch.manual_seed(0)
    model = resnet(50, width=8, norm=group_norm(4), **options)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        wanted = model(image)["res3"]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            given = model(image)["res3"]
    # 7 blocks, each rounding at 2**-8: relative error of a few percent of the map's size
    assert (given.float() - wanted).norm() < 0.05 * wanted.norm()


@pytest.mark.parametrize("depth", [18, 50])
def test_zero_last_norm_makes_blocks_start_as_their_shortcuts(depth):
    """Blocks without projection pass a map of no negatives as it is."""
    model = resnet(depth, width=8, norm=nn.BatchNorm2d, zero_last_norm=True)
    features = torch.rand(2, model.feature_specs["res3"].channels, 6, 6)
    assert torch.equal(model.res3[1](features), features)


def test_zero_last_norm_needs_a_norm_that_trains():
    """Under constants the branches would be 0 for ever."""
    with pytest.raises(CompositionError, match=r"zero_last_norm.*FrozenBatchNorm2d"):
        resnet(18, width=8, zero_last_norm=True)


def test_width_scales_every_stage():
    """A narrow network is a narrow network all the way up."""
    channels = [spec.channels for spec in resnet(18, width=16).feature_specs.values()]
    assert channels == [16, 32, 64, 128]


def test_unused_stages_are_not_built():
    """A C4 backbone has no res5 that would never get a gradient."""
    model = resnet(18, width=8, out_features=("res4",))
    assert list(model.feature_specs) == ["res4"]
    assert not any(name.startswith("res5") for name in model.state_dict())


@pytest.mark.parametrize("norm", [group_norm(4), LayerNorm2d])
def test_freezing_stops_norms_without_statistics(norm):
    """They keep their kind and lose their gradients."""
    model = resnet(18, width=8, norm=norm, freeze_at=2)
    trained = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"res3", "res4", "res5"}
    kinds = {type(module) for module in model.stem.modules()}
    assert type(norm(8)) in kinds


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, nn.SyncBatchNorm])
@pytest.mark.parametrize("freeze_at", range(6))
def test_freezing_stops_exactly_the_first_parts(freeze_at, kind):
    """Frozen parts lose gradients and moving statistics, the rest keeps both."""
    model = resnet(18, width=8, norm=kind, freeze_at=freeze_at)
    for i, name in enumerate(("stem", "res2", "res3", "res4", "res5")):
        part = getattr(model, name)
        frozen = i < freeze_at
        assert all(p.requires_grad is not frozen for p in part.parameters())
        kinds = {type(m) for m in part.modules() if "BatchNorm" in type(m).__name__}
        assert kinds == {FrozenBatchNorm2d if frozen else kind}


def test_batch_norms_that_compute_more_are_not_frozen_silently():
    """Their constants would leave out what they add."""

    class NormAndReLU(nn.BatchNorm2d):
        def forward(self, features):
            return functional.relu(super().forward(features))

    with pytest.raises(CompositionError, match="NormAndReLU"):
        resnet(18, width=8, norm=NormAndReLU, freeze_at=1)


def test_shortcut_appears_when_only_the_stride_differs():
    """Equal channels with stride 2 still need a projection (Detectron2 breaks here)."""
    from geodet.models.backbones import BasicBlock

    block = BasicBlock(8, 8, stride=2, norm=nn.BatchNorm2d)
    assert block(torch.randn(2, 8, 6, 6)).shape == (2, 8, 3, 3)


@pytest.mark.parametrize(
    ("depth", "options", "message"),
    [
        (20, {}, "depth"),
        (18, {"groups": 32}, "basic blocks"),
        (34, {"deform_stages": ("res5",)}, "basic blocks"),
        (50, {"deform_stages": ("res1",)}, "deform_stages"),
        (50, {"deform_stages": ("res5",), "deform_groups": 3}, "offset_groups"),
        (50, {"res4_dilation": 2}, "res4_dilation"),
        (50, {"res5_multi_grid": (1, 2)}, "multi_grid"),
        (18, {"stride_in_1x1": True}, "basic blocks"),
        (50, {"res5_dilation": 3}, "res5_dilation"),
        (50, {"out_features": ("res6",)}, "out_features"),
        (50, {"out_features": ()}, "out_features"),
        (18, {"freeze_at": 6}, "freeze_at"),
    ],
)
def test_impossible_networks_fail_at_construction(depth, options, message):
    """The message names the argument."""
    with pytest.raises(CompositionError, match=message):
        resnet(depth, **{"width": 8, **options})


def test_stages_that_do_not_follow_each_other_are_named():
    """Both sides with their channels."""
    with pytest.raises(CompositionError, match=r"'stem' gives 8 channels, 'res5' expects 64"):
        ResNet(
            stem=BasicStem(3, 8, norm=FrozenBatchNorm2d),
            stages={"res5": resnet_stage("res5", depth=18, width=16)},
            out_features=("res5",),
        )
    with pytest.raises(CompositionError, match="res6"):
        resnet_stage("res6")


def test_feature_maps_are_checked_by_level():
    """A missing map, a wrong size and wrong channels are named."""
    specs = {"a": FeatureSpec(channels=4, stride=8)}
    good = torch.zeros(1, 4, 3, 4)
    check_feature_maps({"a": good}, specs, ImageSize(20, 32))
    with pytest.raises(ShapeError, match=r"'a'.*declared"):
        check_feature_maps({"b": good}, specs, ImageSize(20, 32))
    with pytest.raises(ShapeError, match=r"'a'.*stride 8.*48 x 32"):
        check_feature_maps({"a": good}, specs, ImageSize(48, 32))
    with pytest.raises(ShapeError, match=r"'a'"):
        check_feature_maps({"a": good[:, :3]}, specs, ImageSize(20, 32))
    with pytest.raises(CompositionError, match="stride=0"):
        FeatureSpec(channels=1, stride=0)
