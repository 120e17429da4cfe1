"""Feature extractors of timm as backbones."""

import importlib
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from geodet.errors import CompositionError, MissingDependencyError, ShapeError
from geodet.models import FPN, LastLevelMaxPool
from geodet.models.backbones import TimmBackbone, timm_backbone

STRIDES = {"res2": 4, "res3": 8, "res4": 16, "res5": 32}


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_convnext", "test_efficientnet", "test_nfnet", "test_mambaout"]
)
def test_pyramids_stand_on_any_of_them(name):
    """Names, strides and channels come from timm, and what comes out is as declared."""
    pytest.importorskip("timm")
    torch.manual_seed(0)
    backbone = timm_backbone(name)
    assert {key: spec.stride for key, spec in backbone.feature_specs.items()} == STRIDES
    neck = FPN(backbone, channels=8, top=LastLevelMaxPool())
    assert neck.size_divisor == 32
    levels = neck(torch.randn(2, 3, 64, 96))
    assert [level.shape[-2:] for level in levels.values()] == [
        (16, 24), (8, 12), (4, 6), (2, 3), (1, 2),
    ]  # fmt: skip
    sum(level.square().mean() for level in levels.values()).backward()
    assert [key for key, p in neck.named_parameters() if p.grad is None] == []


def test_maps_of_transformers_are_turned():
    """Swin of timm gives channels last."""
    pytest.importorskip("timm")
    options = {
        "embed_dim": 8,
        "depths": (1, 1, 1, 1),
        "num_heads": (1, 1, 1, 1),
        "window_size": 4,
        "img_size": 128,
    }
    backbone = timm_backbone("swin_tiny_patch4_window7_224", options=options)
    maps = backbone(torch.randn(1, 3, 128, 128))
    assert {key: tuple(value.shape[1:]) for key, value in maps.items()} == {
        "res2": (8, 32, 32),
        "res3": (16, 16, 16),
        "res4": (32, 8, 8),
        "res5": (64, 4, 4),
    }


def test_plain_transformers_have_one_map():
    """The last block's, at the one stride there is."""
    pytest.importorskip("timm")
    backbone = timm_backbone("test_vit", strides=(16,), options={"dynamic_img_size": True})
    assert list(backbone.feature_specs) == ["res4"]
    assert backbone(torch.randn(1, 3, 64, 96))["res4"].shape == (1, 64, 4, 6)
    with pytest.raises(CompositionError, match=r"strides.*test_vit.*\[16\]"):
        timm_backbone("test_vit")


def test_maps_equal_timms_own():
    """The weights load into timm's model as they are."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    backbone = timm_backbone("test_resnet", strides=(8, 32), in_channels=4).eval()
    peer = timm.create_model("test_resnet", features_only=True, in_chans=4).eval()
    peer.load_state_dict(backbone.model.state_dict())
    image = torch.randn(1, 4, 64, 64)
    with torch.no_grad():
        wanted = peer(image)
        given = backbone(image)
    assert torch.equal(given["res3"], wanted[2])
    assert torch.equal(given["res5"], wanted[4])
    assert backbone.in_channels == 4


def test_layers_after_the_last_map_are_not_built():
    """They would never get a gradient."""
    pytest.importorskip("timm")
    names = timm_backbone("test_resnet", strides=(4, 8)).state_dict()
    assert not any("layer3" in name for name in names)


def test_batch_norms_freeze_with_their_activations():
    """Timm's batch norms may contain the ReLU; in eval mode nothing changes."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    backbone = timm_backbone("test_efficientnet", freeze_batch_norms=True)
    kinds = {
        type(module).__name__ for module in backbone.modules() if "Norm" in type(module).__name__
    }
    assert kinds == {"FrozenBatchNormAct2d"}
    peer = timm.create_model("test_efficientnet", features_only=True).eval()
    state = backbone.model.state_dict()
    peer.load_state_dict({key: state.get(key, value) for key, value in peer.state_dict().items()})
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone(image)["res5"], peer(image)[-1])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("no_such_model", {}, "no_such_model"),
        ("test_resnet", {"options": {"no_such_option": 1}}, "no_such_option"),
        ("test_resnet", {"strides": (4, 64)}, r"\[2, 4, 8, 16, 32\], got \[4, 64\]"),
        ("test_resnet", {"strides": (8, 4)}, "growing"),
        ("test_resnet", {"strides": ()}, "growing"),
    ],
)
def test_what_timm_cannot_make_is_named(name, options, message):
    """Model and reason."""
    pytest.importorskip("timm")
    with pytest.raises(CompositionError, match=message):
        timm_backbone(name, **options)


def test_absence_of_timm_is_told(monkeypatch):
    """Only when a backbone of it is asked for."""
    monkeypatch.setitem(sys.modules, "timm", None)
    importlib.import_module("geodet.models")
    with pytest.raises(MissingDependencyError, match="pip install timm"):
        timm_backbone("resnet18")


class _Model(nn.Module):
    """Looks like timm's feature extractors, without timm."""

    def __init__(self, strides, maps=()):
        super().__init__()
        self.maps = list(maps)
        self.feature_info = SimpleNamespace(
            channels=lambda: [4] * len(strides), reduction=lambda: list(strides)
        )

    def forward(self, images):
        return self.maps


@pytest.mark.parametrize("strides", [(16, 16), (4, 7)])
def test_maps_without_pyramid_are_refused(strides):
    """Equal strides have no names of their own; 7 has none at all."""
    with pytest.raises(CompositionError, match="strides"):
        TimmBackbone(_Model(strides), in_channels=3)


def test_maps_that_break_their_strides_are_named():
    """Networks without padding (Inception) declare strides that their maps do not have."""
    model = _Model((4, 8), [torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 3, 3)])
    with pytest.raises(ShapeError, match=r"'res3'.*stride 8.*32 x 32"):
        TimmBackbone(model, in_channels=3)(torch.zeros(1, 3, 32, 32))
