"""DeepLab: ASPP and head against torchvision with equal weights, decoder by hand, learning."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from geodet.errors import CompositionError, ShapeError
from geodet.models import (
    DeepLabV3Head,
    DeepLabV3PlusHead,
    FeatureSpec,
    HardPixelMining,
    Preprocess,
    deeplab_v3,
    deeplab_v3_plus,
    group_norm,
)
from geodet.models.heads import DeepLabDecoder
from geodet.models.layers import ASPP, SeparableConv
from geodet.structures import SemanticMap

PREPROCESS = Preprocess(channel_order="rgb", mean=(60.0,) * 3, std=(60.0,) * 3, size_divisor=1)
TINY = {
    "num_classes": 3,
    "preprocess": PREPROCESS,
    "depth": 18,
    "width": 8,
    "norm": group_norm(4),
    "multi_grid": (1, 2),
    "aspp_channels": 16,
    "dilations": (1, 2),
    "dropout": 0.0,
}


def shaken(module):
    """Norms with statistics that are not those of a fresh module."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return module.eval()


def copy_conv(ours, conv, norm):
    """Give a ConvNorm the weights of a convolution and a norm."""
    ours.load_state_dict(
        {"weight": conv.weight, **{f"norm.{k}": v for k, v in norm.state_dict().items()}}
    )


def test_the_head_is_torchvisions():
    """Equal weights, equal scores, dilations 12, 24, 36, on a map of odd size."""
    module = pytest.importorskip("torchvision.models.segmentation.deeplabv3")
    torch.manual_seed(0)
    theirs = shaken(module.DeepLabHead(24, 7, (12, 24, 36)))
    aspp = ASPP(24, 256, dilations=(12, 24, 36), norm=nn.BatchNorm2d, pool_norm=nn.BatchNorm2d)
    head = DeepLabV3Head(
        {"res5": FeatureSpec(channels=24, stride=16)},
        aspp=aspp,
        num_classes=7,
        convs=1,
        norm=nn.BatchNorm2d,
    ).eval()
    for ours, other in zip(aspp.convs, theirs[0].convs, strict=False):
        copy_conv(ours, other[0], other[1])
    copy_conv(aspp.pool_conv, theirs[0].convs[4][1], theirs[0].convs[4][2])
    copy_conv(aspp.project, theirs[0].project[0], theirs[0].project[1])
    copy_conv(head.convs[0], theirs[1], theirs[2])
    head.predictor.load_state_dict(theirs[4].state_dict())
    features = torch.randn(2, 24, 9, 13)
    with torch.no_grad():
        assert torch.allclose(head({"res5": features}), theirs(features), atol=1e-5)


def test_the_decoder_joins_finer_maps():
    """By hand: enlarge what is made, put the reduced finer map first, two convolutions."""
    specs = {
        "res2": FeatureSpec(channels=4, stride=4),
        "res3": FeatureSpec(channels=6, stride=8),
        "res5": FeatureSpec(channels=8, stride=16),
    }
    torch.manual_seed(0)
    aspp = ASPP(8, 12, dilations=(1,), norm=None)
    decoder = DeepLabDecoder(specs, aspp=aspp, project_channels=(3, 5), channels=10, norm=None)
    maps = {
        "res2": torch.randn(2, 4, 13, 10),
        "res3": torch.randn(2, 6, 7, 5),
        "res5": torch.randn(2, 8, 4, 3),
    }
    made = aspp(maps["res5"])
    for name in ("res3", "res2"):
        own = functional.conv2d(
            maps[name], decoder.projects[name].weight, decoder.projects[name].bias
        ).relu()
        made = functional.interpolate(made, size=own.shape[2:], mode="bilinear")
        made = torch.cat((own, made), dim=1)
        for conv in decoder.fuses[name]:
            made = functional.conv2d(made, conv.weight, conv.bias, padding=1).relu()
    assert torch.allclose(decoder(maps), made, atol=1e-5)
    assert (decoder.stride, decoder.channels) == (4, 10)
    assert decoder({name: one[:0] for name, one in maps.items()}).shape == (0, 10, 13, 10)


def test_separable_convolutions_are_grouped_ones():
    """Channel by channel, then cell by cell; a norm after each."""
    torch.manual_seed(0)
    conv = SeparableConv(6, 4, 5, dilation=2, norm=group_norm(2), activation=functional.relu)
    features = torch.randn(1, 6, 9, 9)
    inner = functional.conv2d(features, conv.depthwise.weight, padding=4, dilation=2, groups=6)
    inner = conv.depthwise.norm(inner).relu()
    outer = conv.pointwise.norm(functional.conv2d(inner, conv.pointwise.weight)).relu()
    assert torch.allclose(conv(features), outer, atol=1e-6)


def test_the_window_of_the_mean_stays_that_of_training():
    """A window as large as the map is its mean; larger maps keep several windows."""
    torch.manual_seed(0)
    fixed = ASPP(4, 8, dilations=(1,), norm=None, pool_cells=(4, 6)).eval()
    whole = ASPP(4, 8, dilations=(1,), norm=None).eval()
    whole.load_state_dict(fixed.state_dict())
    small, large = torch.randn(1, 4, 4, 6), torch.randn(1, 4, 8, 9)
    assert torch.allclose(fixed(small), whole(small), atol=1e-6)
    assert not torch.allclose(fixed(large), whole(large), atol=1e-3)
    with pytest.raises(ShapeError, match="4 x 6"):
        fixed(torch.randn(1, 4, 3, 9))


def test_dropout_works_in_training_alone():
    """The only part of these heads that looks at the mode, batch norms apart."""
    torch.manual_seed(0)
    aspp = ASPP(4, 64, dilations=(1,), norm=None, dropout=0.5)
    features = torch.randn(1, 4, 5, 5)
    assert (aspp(features) == 0).float().mean() > (aspp.eval()(features) == 0).float().mean() + 0.1


@pytest.mark.parametrize("family", [deeplab_v3, deeplab_v3_plus])
def test_models_give_maps_of_every_size_and_gradients(family, pictures):
    """Odd sizes need no padding; every parameter learns; autocast keeps float32 losses."""
    torch.manual_seed(0)
    model = family(**TINY)
    images, targets = pictures
    images = [images[0], images[1][:, :45, :37]]
    maps = [
        SemanticMap(torch.where(target.masks.data.any(0), 1, 0)[: i.shape[1], : i.shape[2]])
        for i, target in zip(images, targets, strict=True)
    ]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(images, maps)["semantic"].dtype == torch.float32
    model(images, maps)["semantic"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    for image, scores in zip(images, model.eval()(images), strict=True):
        assert scores.to_semantic_map().labels.shape == image.shape[1:]
    assert model.head.stride == (16 if family is deeplab_v3 else 4)
    assert isinstance(model.head.loss, HardPixelMining)


def test_parts_that_do_not_fit_are_named():
    """Channels of ASPP, numbers of maps, order of strides."""
    aspp = ASPP(8, 16, dilations=(1,), norm=None)
    one = {"res5": FeatureSpec(channels=9, stride=16)}
    two = {"res5": FeatureSpec(channels=8, stride=16), "res2": FeatureSpec(channels=8, stride=4)}
    with pytest.raises(CompositionError, match="ASPP expects 8 channels, 'res5' has 9"):
        DeepLabV3Head(one, aspp=aspp, num_classes=2)
    with pytest.raises(CompositionError, match="one map"):
        DeepLabV3Head(two, aspp=aspp, num_classes=2)
    with pytest.raises(CompositionError, match="finest first"):
        DeepLabDecoder(two, aspp=aspp, project_channels=(4,), channels=8, norm=None)
    with pytest.raises(CompositionError, match="project_channels"):
        DeepLabDecoder(two, aspp=aspp, project_channels=(), channels=8, norm=None)


def learned(steps):
    """Share of right pixels of V3+ after so many steps on a picture of two halves."""
    torch.manual_seed(0)
    model = deeplab_v3_plus(**TINY, project_channels=8, decoder_channels=16, hard_fraction=0.5)
    image = torch.zeros((3, 64, 64), dtype=torch.uint8)
    image[0, :, 30:] = 200
    image[2, 40:, :30] = 200
    labels = torch.zeros((64, 64), dtype=torch.int64)
    labels[:, 30:] = 1
    labels[40:, :30] = 2
    truth = SemanticMap(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        model([image], [truth])["semantic"].backward()
        optimizer.step()
    with torch.no_grad():
        found = model.eval()([image])[0].to_semantic_map()
    return float((found.labels == truth.labels).float().mean())


def test_it_learns_a_picture():
    """After 40 steps nine pixels in ten are right, from a third before."""
    assert learned(0) < 0.7
    assert learned(40) > 0.9


def test_heads_can_have_convolutions_of_their_own():
    """As Panoptic-DeepLab's: prediction reads the last of them."""
    specs = {"a": FeatureSpec(channels=4, stride=4), "b": FeatureSpec(channels=4, stride=8)}
    decoder = DeepLabDecoder(
        specs,
        aspp=ASPP(4, 8, dilations=(1,), norm=None, separable=True),
        project_channels=(4,),
        channels=8,
        norm=None,
        separable=True,
    )
    head = DeepLabV3PlusHead(decoder, num_classes=5, conv_channels=(8, 6), norm=None)
    maps = {"a": torch.randn(1, 4, 8, 8), "b": torch.randn(1, 4, 4, 4)}
    assert head(maps).shape == (1, 5, 8, 8)
    assert head.predictor.in_channels == 6
