"""RegNet: the same function as torchvision's, Detectron2's names, and what it refuses."""

import json
import re

import pytest
import torch
from torch import nn
from torchvision.models import regnet as regnets

from geodet.errors import CompositionError
from geodet.models import FPN, FrozenBatchNorm2d
from geodet.models.backbones import (
    RegNetStageSize,
    regnet,
    regnet_stage_sizes,
    regnet_x_4gf,
    regnet_y_4gf,
)
from geodet.models.features import check_feature_maps
from geodet.structures import ImageSize

NAMES = [
    f"regnet_{kind}_{size}"
    for kind in "xy"
    for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")
]
# Widths of the paper where torchvision rounds half groups up (x_400mf: 392 is 24.5 groups of 16)
# or keeps a width from falling by a tenth (y_8gf: 192 is 3.4 groups of 56).
ROUNDED = {
    "regnet_x_400mf": [32, 64, 160, 384],
    "regnet_y_800mf": [64, 128, 320, 768],
    "regnet_y_8gf": [168, 448, 896, 2016],
}
SIZES = [
    RegNetStageSize(num_blocks=1, channels=8, bottleneck_channels=8, group_width=4),
    RegNetStageSize(num_blocks=2, channels=16, bottleneck_channels=32, group_width=8),
    RegNetStageSize(num_blocks=2, channels=24, bottleneck_channels=24, group_width=24),
]


def _sizes(params):
    """Ours of torchvision's description."""
    return [
        RegNetStageSize(
            num_blocks=depth, channels=width, bottleneck_channels=width, group_width=group
        )
        for depth, width, group in zip(
            params.depths, params.widths, params.group_widths, strict=True
        )
    ]


@pytest.fixture
def described(monkeypatch):
    """Name -> (numbers, description) with which torchvision would build it."""

    def describe(name):
        numbers = {}
        make = regnets.BlockParams.from_init_params

        def spy(**options):
            numbers.update(options)
            return make(**options)

        with monkeypatch.context() as patch:
            patch.setattr(regnets.BlockParams, "from_init_params", spy)
            patch.setattr(regnets, "_regnet", lambda params, *_args, **_options: params)
            params = getattr(regnets, name)()
        return numbers, params

    return describe


NUMBERS = {
    "depth": 6,
    "initial_width": 8,
    "width_slope": 10.0,
    "width_step": 2.0,
    "group_width": 8,
}


def _torchvision_name(name):
    """Our name of a tensor -> torchvision's."""
    name = name.replace("stem.conv", "stem.0").replace("stem.bn", "stem.1")
    name = re.sub(
        r"^s(\d)\.b(\d+)",
        lambda match: f"trunk_output.block{match[1]}.block{match[1]}-{int(match[2]) - 1}",
        name,
    )
    name = re.sub(r"\.([abc])_bn\.", r".\1.1.", name)
    name = re.sub(r"\.([abc])\.weight", r".\1.0.weight", name)
    name = name.replace("proj.weight", "proj.0.weight")
    name = re.sub(r"(block\d-\d+)\.bn\.", r"\1.proj.1.", name)
    return name.replace("f_ex.0", "fc1").replace("f_ex.2", "fc2")


@pytest.mark.parametrize("name", ["regnet_x_400mf", "regnet_y_400mf"])
def test_maps_equal_torchvision(name, described):
    """With torchvision's weights every stage gives torchvision's map."""
    torch.manual_seed(0)
    peer = getattr(regnets, name)(weights=None).eval()
    params = described(name)[1]
    model = regnet(_sizes(params), se_ratio=params.se_ratio or 0.0)
    state = peer.state_dict()
    model.load_state_dict({key: state[_torchvision_name(key)] for key in model.state_dict()})
    image = torch.randn(1, 3, 70, 64)
    with torch.no_grad():
        features = peer.stem(image)
        maps = model(image)
        for i in range(4):
            features = peer.trunk_output[i](features)
            # float32 in another order of operations (batch norm folded), over 16 to 22 blocks
            torch.testing.assert_close(maps[f"s{i + 1}"], features, rtol=1e-3, atol=1e-3)
    check_feature_maps(maps, model.feature_specs, ImageSize(70, 64))


@pytest.mark.parametrize("name", NAMES)
def test_stages_equal_torchvision(name, described):
    """Published numbers give the stages of torchvision, or of the paper where the two differ."""
    numbers, params = described(name)
    wanted = _sizes(params)
    given = regnet_stage_sizes(
        depth=numbers["depth"],
        initial_width=numbers["w_0"],
        width_slope=numbers["w_a"],
        width_step=numbers["w_m"],
        group_width=numbers["group_width"],
    )
    if name in ROUNDED:
        assert [size.channels for size in given] == ROUNDED[name]
        assert [size.num_blocks for size in given] == params.depths
        assert [size.channels for size in wanted] != ROUNDED[name]
        return
    assert given == wanted


def test_names_and_shapes_are_those_of_detectron2(shared_dir):
    """The trunk of the published Mask R-CNN fits tensor by tensor."""
    keys = json.loads((shared_dir / "parity/keys/mask_rcnn_regnetx.keys.json").read_text())
    prefix = "backbone.bottom_up."
    wanted = {k.removeprefix(prefix): shape for k, shape in keys.items() if k.startswith(prefix)}
    with torch.device("meta"):
        model = regnet_x_4gf(norm=nn.SyncBatchNorm)
    assert {name: list(value.shape) for name, value in model.state_dict().items()} == wanted


def test_y_4gf_has_the_published_stages():
    """Depths and widths as the paper's table of RegNetY-4.0GF; squeezed from what enters."""
    with torch.device("meta"):
        model = regnet_y_4gf()
    assert [spec.channels for spec in model.feature_specs.values()] == [128, 192, 512, 1088]
    assert [len(model.get_submodule(name)) for name in model.stage_names] == [2, 6, 12, 2]
    assert model.s2.b1.f.se.f_ex[0].weight.shape[:2] == (32, 192)


def test_widths_are_whole_groups():
    """A ratio other than 1 rounds the 3x3 convolutions, and the stage with them."""
    for ratio in (0.5, 1.0, 2.0):
        sizes = regnet_stage_sizes(**{**NUMBERS, "group_width": 12}, bottleneck_ratio=ratio)
        for size in sizes:
            assert size.channels * ratio == size.bottleneck_channels
        assert sum(size.num_blocks for size in sizes) == 6


@pytest.mark.parametrize("se_ratio", [0.0, 0.25])
@pytest.mark.parametrize("norm", [nn.BatchNorm2d, FrozenBatchNorm2d])
def test_every_parameter_gets_a_gradient(se_ratio, norm):
    """Nothing is left out; the state dict makes an equal twin; b = 0 works; so does autocast."""
    torch.manual_seed(0)
    options = {"se_ratio": se_ratio, "norm": norm, "out_features": ("s2", "s3")}
    model = regnet(SIZES, **options)
    image = torch.randn(2, 3, 48, 64)
    sum(value.mean() for value in model(image).values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    twin = regnet(SIZES, **options)
    twin.load_state_dict(model.state_dict())
    model.eval()
    twin.eval()
    with torch.no_grad():
        wanted = model(image)
        assert all(torch.equal(twin(image)[name], value) for name, value in wanted.items())
        assert model(image[:0])["s3"].shape[0] == 0
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model(image)["s3"].float()
    # blocks rounded to 8 bits each
    assert (half - wanted["s3"]).norm() < 0.05 * wanted["s3"].norm()


def test_pyramid_stands_on_it():
    """Strides 4 to 32 under their own names."""
    model = regnet(SIZES, stem_width=8, out_features=("s1", "s2", "s3"))
    neck = FPN(model, in_features=("s1", "s2", "s3"), channels=8)
    assert [level.shape[-1] for level in neck(torch.zeros(1, 3, 32, 64)).values()] == [16, 8, 4]


def test_freezing_stops_the_first_parts():
    """Stem and first stage lose gradients and moving statistics."""
    model = regnet(SIZES, stem_width=8, norm=nn.BatchNorm2d, freeze_at=2, out_features=("s2",))
    trained = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"s2"}
    assert isinstance(model.s1.b1.f.a_bn, FrozenBatchNorm2d)
    assert not hasattr(model, "s3")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initial_width": 12}, "multiple of 8"),
        ({"width_step": 1.0}, "width_step"),
        ({"width_slope": -1.0}, "width_slope"),
        ({"depth": 0}, "depth"),
        ({"group_width": 0}, "group_width"),
        ({"bottleneck_ratio": 0}, "bottleneck_ratio"),
    ],
)
def test_numbers_that_give_no_network_are_refused(changes, message):
    """The message names the argument."""
    with pytest.raises(CompositionError, match=message):
        regnet_stage_sizes(**{**NUMBERS, **changes})


def test_impossible_networks_fail_at_construction():
    """Stages that are not there, and groups that do not divide."""
    for names in (("s4",), ()):
        with pytest.raises(CompositionError, match="out_features"):
            regnet(SIZES, out_features=names)
    with pytest.raises(CompositionError, match="group_width"):
        RegNetStageSize(num_blocks=1, channels=8, bottleneck_channels=8, group_width=3)
