"""ResNet: the same function as torchvision's, and what it refuses."""

import json
import re

import pytest
import torch
import torchvision
from torch import nn

from geodet.errors import CompositionError, ShapeError
from geodet.models import FeatureSpec, FrozenBatchNorm2d, resnet
from geodet.models.features import check_feature_maps
from geodet.structures import ImageSize


def _torchvision_name(name):
    """Our name of a tensor -> torchvision's."""
    name = re.sub(r"^stem\.conv1\.norm", "bn1", name).replace("stem.conv1", "conv1")
    name = re.sub(r"^res(\d)", lambda match: f"layer{int(match[1]) - 1}", name)
    name = re.sub(r"shortcut\.norm", "downsample.1", name).replace("shortcut", "downsample.0")
    return re.sub(r"conv(\d)\.norm", r"bn\1", name)


def _with_weights_of(peer, model):
    state = peer.state_dict()
    model.load_state_dict({name: state[_torchvision_name(name)] for name in model.state_dict()})
    return model


@pytest.mark.parametrize(
    ("depth", "peer", "options"),
    [
        (18, torchvision.models.resnet18, {}),
        (50, torchvision.models.resnet50, {}),
        (50, torchvision.models.resnext50_32x4d, {"groups": 32, "width_per_group": 4}),
    ],
)
def test_maps_equal_torchvision(depth, peer, options):
    """With torchvision's weights every stage gives torchvision's map."""
    torch.manual_seed(0)
    peer = peer(weights=None).eval()
    model = _with_weights_of(peer, resnet(depth, **options))
    image = torch.randn(1, 3, 70, 64)
    features = peer.maxpool(peer.relu(peer.bn1(peer.conv1(image))))
    with torch.no_grad():
        maps = model(image)
        for i in range(4):
            features = getattr(peer, f"layer{i + 1}")(features)
            # float32 in another order of operations (batch norm folded), over up to 50 layers
            torch.testing.assert_close(maps[f"res{i + 2}"], features, rtol=1e-3, atol=1e-3)
    check_feature_maps(maps, model.feature_specs, ImageSize(70, 64))


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_parameter_counts_equal_torchvision(depth):
    """Every depth has as many trainable numbers as torchvision's, less the classifier."""
    with torch.device("meta"):
        peer = getattr(torchvision.models, f"resnet{depth}")(weights=None)
        model = resnet(depth, norm=nn.BatchNorm2d)
    wanted = sum(p.numel() for name, p in peer.named_parameters() if "fc" not in name)
    assert sum(p.numel() for p in model.parameters()) == wanted


def test_names_and_shapes_are_those_of_detectron2(shared_dir):
    """The trunk of a published Mask R-CNN fits tensor by tensor."""
    keys = json.loads((shared_dir / "parity/keys/mask_rcnn_R_50_FPN.keys.json").read_text())
    prefix = "backbone.bottom_up."
    wanted = {k.removeprefix(prefix): shape for k, shape in keys.items() if k.startswith(prefix)}
    with torch.device("meta"):
        model = resnet(50, stride_in_1x1=True)
    assert {name: list(value.shape) for name, value in model.state_dict().items()} == wanted


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


def test_width_scales_every_stage():
    """A narrow network is a narrow network all the way up."""
    channels = [spec.channels for spec in resnet(18, width=16).feature_specs.values()]
    assert channels == [16, 32, 64, 128]


def test_unused_stages_are_not_built():
    """A C4 backbone has no res5 that would never get a gradient."""
    model = resnet(18, width=8, out_features=("res4",))
    assert list(model.feature_specs) == ["res4"]
    assert not any(name.startswith("res5") for name in model.state_dict())


@pytest.mark.parametrize("freeze_at", range(6))
def test_freezing_stops_exactly_the_first_parts(freeze_at):
    """Frozen parts lose gradients and moving statistics, the rest keeps both."""
    model = resnet(18, width=8, norm=nn.BatchNorm2d, freeze_at=freeze_at)
    for i, name in enumerate(("stem", "res2", "res3", "res4", "res5")):
        part = getattr(model, name)
        frozen = i < freeze_at
        assert all(p.requires_grad is not frozen for p in part.parameters())
        kinds = {type(m) for m in part.modules() if "BatchNorm" in type(m).__name__}
        assert kinds == {FrozenBatchNorm2d if frozen else nn.BatchNorm2d}


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
        (34, {"res5_dilation": 2}, "basic blocks"),
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
