"""The pyramid of a plain backbone: levels by hand, names and numbers of the published weights."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from geodet.errors import CompositionError, ShapeError
from geodet.models.backbones import vit
from geodet.models.layers import LayerNorm2d
from geodet.models.necks import LastLevelMaxPool, LastLevelP6P7, SimpleFeaturePyramid


def _tiny_vit():
    return vit(channels=32, depth=1, num_heads=4, global_blocks=(), window_side=4, drop_path=0.0)


def _tiny(**changes):
    torch.manual_seed(0)
    return SimpleFeaturePyramid(
        _tiny_vit(), **{"channels": 24, "top": LastLevelMaxPool(), **changes}
    )


def test_levels_are_deconvolutions_the_map_itself_and_a_pooled_one():
    """Each level computed again with torch's functions and the level's own weights."""
    model = _tiny()
    images = torch.randn(2, 3, 64, 96)
    below = model.bottom_up(images)["last_feat"]
    maps = model(images)

    def up(x, layer):
        return functional.conv_transpose2d(x, layer.weight, layer.bias, stride=2)

    def finish(x, first, second):
        first_norm, second_norm = first.norm, second.norm
        x = first_norm(functional.conv2d(x, first.weight))
        return second_norm(functional.conv2d(x, second.weight, padding=1))

    p2, p3, p4, p5 = (model.levels[number] for number in "2345")
    wanted = {
        "p2": finish(up(functional.gelu(p2[1](up(below, p2[0]))), p2[3]), p2[4], p2[5]),
        "p3": finish(up(below, p3[0]), p3[1], p3[2]),
        "p4": finish(below, p4[0], p4[1]),
        "p5": finish(functional.max_pool2d(below, 2), p5[1], p5[2]),
    }
    wanted["p6"] = wanted["p5"][:, :, ::2, ::2]
    assert list(maps) == list(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(maps[name], value)


def test_maps_are_as_declared_and_no_image_is_fine():
    """Strides 4 to 64; the images divide by the coarsest level of the pyramid itself."""
    model = _tiny()
    assert {name: spec.stride for name, spec in model.feature_specs.items()} == {
        "p2": 4,
        "p3": 8,
        "p4": 16,
        "p5": 32,
        "p6": 64,
    }
    assert model.size_divisor == 32
    for batch in (0, 1):
        maps = model(torch.zeros(batch, 3, 32, 96))
        for name, spec in model.feature_specs.items():
            wanted = (batch, 24, -(-32 // spec.stride), -(-96 // spec.stride))
            assert maps[name].shape == wanted


def test_every_parameter_gets_a_gradient():
    """Through every level; without norm the convolutions have biases."""
    for norm in (LayerNorm2d, None):
        model = _tiny(norm=norm)
        maps = model(torch.randn(2, 3, 64, 64))
        loss = sum((value - 1).square().mean() for value in maps.values())
        loss.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
    assert model.levels["4"][0].bias is not None


def test_fewer_levels():
    """Scales choose them."""
    model = _tiny(scales=(2.0, 1.0), top=None)
    assert list(model(torch.zeros(1, 3, 32, 32))) == ["p3", "p4"]
    assert model.size_divisor == 16


def test_images_that_do_not_divide_are_an_error():
    """Levels would not meet their strides."""
    with pytest.raises(ShapeError, match=r"multiples of 32, got 48 x 64"):
        _tiny()(torch.zeros(1, 3, 48, 64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_feature": "res5"}, r"reads 'res5', ViT gives \['last_feat'\]"),
        ({"scales": ()}, "expected scales"),
        ({"scales": (4.0, 1.0)}, "each half of the one before"),
        ({"scales": (8.0, 4.0)}, "expected scales"),
        ({"scales": (0.5, 0.25)}, "expected scales"),
        ({"top": LastLevelMaxPool("p4")}, "LastLevelMaxPool reads 'p4'.*'p5'"),
        ({"top": LastLevelP6P7(7, 24, source="p5")}, "LastLevelP6P7 expects 7 channels of 'p5'"),
    ],
)
def test_parts_that_do_not_fit_fail_at_construction(changes, message):
    """Both parts are named."""
    with pytest.raises(CompositionError, match=message):
        _tiny(**changes)


def test_norm_is_a_choice():
    """Any factory from channels to layer goes everywhere."""
    model = _tiny(norm=nn.BatchNorm2d)
    norms = [layer for layer in model.levels.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 9
