"""FPN: equal to torchvision's, checked against its input, and what it refuses."""

import json

import pytest
import torch
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool as TorchvisionMaxPool
from torchvision.ops.feature_pyramid_network import LastLevelP6P7 as TorchvisionP6P7

from geodet.errors import CompositionError, ShapeError
from geodet.models import (
    FPN,
    Backbone,
    FeatureSpec,
    LastLevelMaxPool,
    LastLevelP6P7,
    group_norm,
    resnet,
)


class GivenMaps(Backbone):
    """A backbone that returns what it is told to."""

    def __init__(self, specs, maps=None):
        super().__init__()
        self.in_channels, self.size_divisor = 3, 1
        self.feature_specs = specs
        self.maps = maps

    def forward(self, images):
        """The given maps, or random ones as declared."""
        if self.maps is not None:
            return self.maps
        height, width = images.shape[-2:]
        generator = torch.Generator().manual_seed(0)
        return {
            name: torch.randn(
                len(images),
                spec.channels,
                height // spec.stride,
                width // spec.stride,
                generator=generator,
            )
            for name, spec in self.feature_specs.items()
        }


SPECS = {f"res{i}": FeatureSpec(channels=4 * 2**i, stride=2**i) for i in (2, 3, 4, 5)}


def _copy_weights(neck, peer):
    for i in range(4):
        for ours, theirs in (
            (neck.laterals[str(i + 2)], peer.inner_blocks[i][0]),
            (neck.outputs[str(i + 2)], peer.layer_blocks[i][0]),
        ):
            theirs.load_state_dict(ours.state_dict())


@pytest.mark.parametrize("top", ["max_pool", "p6p7"])
def test_levels_equal_torchvision(top):
    """With equal weights every level is torchvision's."""
    torch.manual_seed(0)
    if top == "max_pool":
        ours, theirs = LastLevelMaxPool(), TorchvisionMaxPool()
    else:
        ours, theirs = LastLevelP6P7(8, 8, source="p5"), TorchvisionP6P7(8, 8)
        theirs.load_state_dict(ours.state_dict())
    backbone = GivenMaps(SPECS)
    neck = FPN(backbone, channels=8, top=ours)
    channels = [spec.channels for spec in SPECS.values()]
    peer = FeaturePyramidNetwork(channels, 8, extra_blocks=theirs)
    _copy_weights(neck, peer)
    image = torch.zeros(2, 3, 64, 96)
    levels = neck(image)
    wanted = peer(backbone(image))
    assert list(levels) == list(neck.feature_specs)
    assert len(levels) == len(wanted)
    for level, peer_level in zip(levels.values(), wanted.values(), strict=True):
        torch.testing.assert_close(level, peer_level)


def test_specs_describe_what_comes_out():
    """Names follow the strides, finest first, through the top block."""
    neck = FPN(resnet(18, width=8), channels=8, top=LastLevelP6P7(64, 12))
    strides = {name: spec.stride for name, spec in neck.feature_specs.items()}
    assert strides == {"p2": 4, "p3": 8, "p4": 16, "p5": 32, "p6": 64, "p7": 128}
    assert [s.channels for s in neck.feature_specs.values()] == [8, 8, 8, 8, 12, 12]
    assert neck.size_divisor == 32
    levels = neck(torch.zeros(1, 3, 32, 96))
    assert [tuple(level.shape[1:]) for level in levels.values()] == [
        (8, 8, 24), (8, 4, 12), (8, 2, 6), (8, 1, 3), (12, 1, 2), (12, 1, 1),
    ]  # fmt: skip


def test_norm_replaces_bias():
    """As in published checkpoints with group norm."""
    neck = FPN(GivenMaps(SPECS), channels=8, norm=group_norm(4))
    names = {name for name in neck.state_dict() if name.startswith("laterals.2")}
    assert names == {f"laterals.2.{name}" for name in ("weight", "norm.weight", "norm.bias")}


def test_mean_instead_of_sum_halves_at_every_step():
    """With identity convolutions the levels are the means written out."""
    maps = {f"res{i}": torch.randn(1, 1, 2 ** (6 - i), 2 ** (6 - i)) for i in (2, 3, 4)}
    specs = {name: FeatureSpec(channels=1, stride=2 ** int(name[-1])) for name in maps}
    neck = FPN(GivenMaps(specs, maps), in_features=tuple(maps), channels=1, fuse="avg")
    for layer in (*neck.laterals.values(), *neck.outputs.values()):
        torch.nn.init.dirac_(layer.weight)
    levels = neck(torch.zeros(1, 3, 64, 64))
    p4 = maps["res4"]
    p3 = (maps["res3"] + p4.repeat_interleave(2, -1).repeat_interleave(2, -2)) / 2
    p2 = (maps["res2"] + p3.repeat_interleave(2, -1).repeat_interleave(2, -2)) / 2
    for name, wanted in (("p2", p2), ("p3", p3), ("p4", p4)):
        torch.testing.assert_close(levels[name], wanted)


@pytest.mark.parametrize("fuse", ["sum", "avg"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_levels_do_not_depend_on_gradients(fuse, layout):
    """With and without them the levels are the same bit for bit, and lie channels last."""
    torch.manual_seed(0)
    neck = FPN(resnet(18, width=8), channels=8, fuse=fuse).to(memory_format=layout)
    image = torch.randn(2, 3, 64, 96).to(memory_format=layout)
    wanted = neck(image)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            for name, level in neck(image).items():
                assert torch.equal(level, wanted[name])
                assert level.is_contiguous(memory_format=torch.channels_last)
            assert neck(image[:0])["p2"].shape == (0, 8, 16, 24)


PYRAMIDS = {
    "mask_rcnn_R_50_FPN": lambda below: FPN(below, top=LastLevelMaxPool()),
    "mask_rcnn_R_50_FPN_gn": lambda below: FPN(below, norm=group_norm(), top=LastLevelMaxPool()),
    "mask_rcnn_R_50_LSJ": lambda below: FPN(
        below, norm=torch.nn.SyncBatchNorm, top=LastLevelMaxPool()
    ),
    "retinanet_R_50_FPN": lambda below: FPN(
        below, in_features=("res3", "res4", "res5"), top=LastLevelP6P7(2048, 256)
    ),
    "fcos_R_50_FPN": lambda below: FPN(
        below, in_features=("res3", "res4", "res5"), top=LastLevelP6P7(256, 256, source="p5")
    ),
}


@pytest.mark.parametrize("name", PYRAMIDS)
def test_tensors_are_those_of_detectron2(shared_dir, name):
    """The pyramid of a published model fits one to one, up to the names of its parts."""
    keys = json.loads((shared_dir / f"parity/keys/{name}.keys.json").read_text())
    parts = ("backbone.fpn_", "backbone.top_block.")
    wanted = {key: shape for key, shape in keys.items() if key.startswith(parts)}
    specs = {f"res{i}": FeatureSpec(channels=64 * 2**i, stride=2**i) for i in (2, 3, 4, 5)}
    with torch.device("meta"):
        neck = PYRAMIDS[name](GivenMaps(specs))
    given = {}
    for ours, value in neck.state_dict().items():
        theirs = ours.replace("laterals.", "fpn_lateral").replace("outputs.", "fpn_output")
        given["backbone." + theirs.replace("top.", "top_block.")] = list(value.shape)
    assert given == wanted


def test_one_level_is_a_pyramid_too():
    """Any number of levels, down to one."""
    neck = FPN(GivenMaps(SPECS), in_features=("res4",), channels=8, top=LastLevelMaxPool("p4"))
    levels = neck(torch.zeros(2, 3, 32, 64))
    assert {name: level.shape[1:] for name, level in levels.items()} == {
        "p4": (8, 2, 4),
        "p5": (8, 1, 2),
    }


def test_no_images_give_empty_levels():
    """As a batch of none does everywhere."""
    levels = FPN(resnet(18, width=8), channels=8)(torch.zeros(0, 3, 64, 64))
    assert [tuple(level.shape) for level in levels.values()] == [
        (0, 8, 16, 16), (0, 8, 8, 8), (0, 8, 4, 4), (0, 8, 2, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "cut"), [("res2", (15, 16)), ("res3", (8, 7)), ("res5", (1, 2))])
def test_right_strides_with_maps_of_another_size_are_named(name, cut):
    """A backbone that drops a border row keeps its strides and still shifts every anchor."""
    maps = GivenMaps(SPECS)(torch.zeros(1, 3, 64, 64))
    maps[name] = maps[name][..., : cut[0], : cut[1]]
    with pytest.raises(ShapeError, match=rf"'{name}'.*padded input of 64 x 64, got \[1, "):
        FPN(GivenMaps(SPECS, maps), channels=8)(torch.zeros(1, 3, 64, 64))


def test_retinanet_levels_start_at_stride_8():
    """Fewer maps below mean fewer levels."""
    neck = FPN(GivenMaps(SPECS), in_features=("res3", "res4", "res5"), channels=8)
    assert list(neck.feature_specs) == ["p3", "p4", "p5"]


def test_unpadded_input_is_refused():
    """The message says what to give Preprocess."""
    with pytest.raises(ShapeError, match=r"multiples of 32.*64 x 80.*size_divisor=32"):
        FPN(GivenMaps(SPECS), channels=8)(torch.zeros(1, 3, 64, 80))


def test_backbone_that_lies_about_its_stride_is_named():
    """A map of another size than declared stops the run and names the level."""
    maps = GivenMaps(SPECS)(torch.zeros(1, 3, 64, 64))
    maps["res4"] = maps["res4"][..., :3]
    with pytest.raises(ShapeError, match=r"'res4'.*stride 16.*64 x 64"):
        FPN(GivenMaps(SPECS, maps), channels=8)(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_features": ("res2", "res7")}, r"FPN reads.*res7.*GivenMaps gives"),
        ({"in_features": ()}, "FPN reads"),
        ({"in_features": ("res2", "res4")}, "double"),
        ({"fuse": "max"}, "fuse"),
        ({"top": LastLevelMaxPool("p6")}, "LastLevelMaxPool reads 'p6'"),
        ({"top": LastLevelMaxPool("p4")}, "must follow the coarsest"),
        ({"top": LastLevelP6P7(100, 8)}, "LastLevelP6P7 expects 100 channels of 'res5'.*128"),
    ],
)
def test_parts_that_do_not_fit_fail_at_construction(options, message):
    """Both sides are named."""
    with pytest.raises(CompositionError, match=message):
        FPN(GivenMaps(SPECS), **{"channels": 8, **options})
