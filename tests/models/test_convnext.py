"""ConvNeXt: the same function as torchvision's, and what it refuses."""

import re

import pytest
import torch
import torchvision
from torch.nn import functional

from geodet.errors import CompositionError, ShapeError
from geodet.models import FPN, LastLevelMaxPool
from geodet.models.backbones import (
    convnext,
    convnext_base,
    convnext_large,
    convnext_small,
    convnext_tiny,
)
from geodet.models.features import check_feature_maps
from geodet.structures import ImageSize

TINY = {"num_blocks": (1, 2, 1), "channels": (8, 12, 16), "out_features": ("s1", "s2", "s3")}
LEAVES = {"depthwise": "block.0", "norm": "block.2", "mlp": "block"}


def _torchvision_name(name):
    """Our name of a tensor -> torchvision's."""
    name = name.replace("stem.conv", "features.0.0").replace("stem.norm", "features.0.1")
    if match := re.match(r"s(\d)\.downsample\.(norm|conv)\.(.*)", name):
        index = 2 * int(match[1]) - 2
        return f"features.{index}.{0 if match[2] == 'norm' else 1}.{match[3]}"
    if match := re.match(r"s(\d)\.(\d+)\.(\w+)(.*)", name):
        leaf, rest = LEAVES.get(match[3], match[3]), match[4]
        rest = rest.replace("fc1", "3").replace("fc2", "5")
        return f"features.{2 * int(match[1]) - 1}.{match[2]}.{leaf}{rest}"
    return name


def test_maps_equal_torchvision():
    """With torchvision's weights every stage gives its map, then normalised."""
    torch.manual_seed(0)
    config = torchvision.models.convnext.CNBlockConfig
    settings = [config(8, 12, 1), config(12, 16, 2), config(16, None, 2)]
    peer = torchvision.models.ConvNeXt(settings, layer_scale=0.5).eval()
    model = convnext(num_blocks=(1, 2, 2), channels=(8, 12, 16), out_features=("s1", "s2", "s3"))
    state = peer.state_dict()
    own = model.state_dict()
    for name in own:
        if not name.startswith("norms."):
            own[name] = state[_torchvision_name(name)]
    model.load_state_dict(own)
    torch.nn.init.normal_(model.norms["s2"].weight)
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        features = image
        maps = model(image)
        for name, (first, second) in {"s1": (0, 1), "s2": (2, 3), "s3": (4, 5)}.items():
            features = peer.features[second](peer.features[first](features))
            rows = features.permute(0, 2, 3, 1)
            rows = functional.layer_norm(rows, rows.shape[-1:], eps=1e-6)
            wanted = (rows * model.norms[name].weight).permute(0, 3, 1, 2)
            torch.testing.assert_close(maps[name], wanted, rtol=1e-4, atol=1e-5)
    check_feature_maps(maps, model.feature_specs, ImageSize(64, 96))


@pytest.mark.parametrize(
    ("make", "peer"),
    [
        (convnext_tiny, "convnext_tiny"),
        (convnext_small, "convnext_small"),
        (convnext_base, "convnext_base"),
        (convnext_large, "convnext_large"),
    ],
)
def test_named_sizes_have_torchvisions_tensors(make, peer):
    """All of them, less the classifier and with the norms of the outputs."""
    with torch.device("meta"):
        wanted = getattr(torchvision.models, peer)(weights=None).features.state_dict()
        model = make()
    given = {
        _torchvision_name(name): value.shape
        for name, value in model.state_dict().items()
        if not name.startswith("norms.")
    }
    assert given == {f"features.{name}": value.shape for name, value in wanted.items()}


def test_every_parameter_gets_a_gradient():
    """Nothing is left out; the state dict makes an equal twin; b = 0 and autocast work."""
    torch.manual_seed(0)
    model = convnext(**TINY, layer_scale=1.0)
    image = torch.randn(2, 3, 32, 64)
    # squares: the mean of a normalised map has no gradient
    sum(value.square().mean() + value.mean() for value in model(image).values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    twin = convnext(**TINY, layer_scale=1.0)
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        wanted = model(image)
        assert all(torch.equal(twin(image)[name], value) for name, value in wanted.items())
        assert model(image[:0])["s3"].shape == (0, 16, 2, 4)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model(image)["s3"].float()
    # 4 blocks rounded to 8 bits each
    assert (half - wanted["s3"]).norm() < 0.05 * wanted["s3"].norm()


def test_drop_path_grows_with_depth_and_only_trains():
    """The first block is never dropped, the last as often as told, none in eval mode."""
    model = convnext(**TINY, drop_path=0.6, layer_scale=1.0)
    rates = [m.probability for m in model.modules() if type(m).__name__ == "DropPath"]
    assert rates == pytest.approx([0.0, 0.2, 0.4, 0.6])
    image = torch.randn(4, 3, 32, 32)
    torch.manual_seed(0)
    first = model(image)["s3"]
    torch.manual_seed(1)
    assert not torch.equal(model(image)["s3"], first)
    model.eval()
    assert torch.equal(model(image)["s3"], model(image)["s3"])


def test_pyramid_stands_on_it():
    """It hands its divisor on."""
    neck = FPN(
        convnext(**TINY), in_features=("s1", "s2", "s3"), channels=8, top=LastLevelMaxPool("p4")
    )
    assert neck.size_divisor == 16
    assert [level.shape[-1] for level in neck(torch.zeros(1, 3, 32, 64)).values()] == [16, 8, 4, 2]


def test_freezing_stops_the_first_parts():
    """Norms of the outputs train on."""
    model = convnext(**TINY, freeze_at=2)
    trained = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"s2", "s3", "norms"}


def test_sizes_that_do_not_fill_patches_are_refused():
    """The message says what to give Preprocess; unbuilt stages do not count."""
    with pytest.raises(ShapeError, match=r"multiples of 16.*32 x 40"):
        convnext(**TINY)(torch.zeros(1, 3, 32, 40))
    shallow = convnext(**{**TINY, "out_features": ("s2",)})
    assert shallow(torch.zeros(1, 3, 32, 40))["s2"].shape == (1, 12, 4, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": (8, 12)}, "channels"),
        ({"out_features": ("s4",)}, "out_features"),
        ({"out_features": ()}, "out_features"),
        ({"drop_path": 1.0}, "DropPath"),
        ({"freeze_at": 5}, "freeze_at"),
    ],
)
def test_impossible_networks_fail_at_construction(changes, message):
    """The message names the argument."""
    with pytest.raises(CompositionError, match=message):
        convnext(**{**TINY, **changes})
