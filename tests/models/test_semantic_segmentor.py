"""Models of pixels: what goes in, what comes out, what they learn."""

import pytest
import torch
from torch.nn import functional

from geodet.errors import CompositionError, DtypeError, InvalidValueError, ShapeError
from geodet.models import (
    FeatureSpec,
    Preprocess,
    SemanticFPNHead,
    SemanticSegmentor,
    group_norm,
    semantic_fpn,
)
from geodet.structures import Instances, SemanticMap

PREPROCESS = Preprocess(channel_order="rgb", mean=(60.0,) * 3, std=(60.0,) * 3, size_divisor=32)


def tiny(**changes):
    """Semantic FPN of a narrow ResNet-18, three classes."""
    torch.manual_seed(0)
    options = {
        "num_classes": 3,
        "preprocess": PREPROCESS,
        "depth": 18,
        "width": 8,
        "norm": group_norm(4),
        "freeze_at": 0,
        "fpn_channels": 16,
        "head_channels": 16,
        "head_norm": group_norm(4),
    }
    return semantic_fpn(**{**options, **changes})


def truth(targets):
    """Class 0 beside the objects; object classes from 1."""
    maps = []
    for target in targets:
        labels = torch.zeros(target.image_size.as_tuple(), dtype=torch.int64)
        for mask, label in zip(target.masks.data, target.labels, strict=True):
            labels[mask] = label + 1
        maps.append(SemanticMap(labels))
    return maps


def test_scores_have_the_size_of_each_image():
    """Images of different sizes share a batch; the map of each has its own size."""
    model = tiny().eval()
    images = [torch.randint(0, 256, (3, h, w), dtype=torch.uint8) for h, w in ((50, 64), (40, 33))]
    with torch.no_grad():
        found = model(images)
        alone = model(images[1:])[0]
    for image, scores in zip(images, found, strict=True):
        assert scores.image_size.as_tuple() == tuple(image.shape[1:])
        assert scores.to_semantic_map().image_size == scores.image_size
        assert scores.num_classes == 3
    # Padding to another size changes nothing far from it, and shapes nowhere.
    assert alone.dense().shape == found[1].dense().shape


def test_the_head_sums_levels_at_one_stride():
    """By hand: convolutions and enlarging level by level, one sum, one prediction."""
    specs = {f"p{n}": FeatureSpec(channels=4, stride=2**n) for n in (2, 3, 4, 5)}
    torch.manual_seed(0)
    head = SemanticFPNHead(specs, num_classes=5, channels=8, norm=group_norm(2))
    maps = {name: torch.randn(2, 4, 128 // s.stride, 64 // s.stride) for name, s in specs.items()}
    total = torch.zeros(2, 8, 32, 16)
    for name, steps in (("p2", 0), ("p3", 1), ("p4", 2), ("p5", 3)):
        x = maps[name]
        convs = [m for m in head.levels[name] if isinstance(m, torch.nn.Conv2d)]
        assert len(convs) == max(1, steps)
        for conv in convs:
            x = functional.conv2d(x, conv.weight, padding=1)
            x = conv.norm(x).relu()
            if steps:
                x = functional.interpolate(x, scale_factor=2, mode="bilinear")
        total = total + x
    expected = functional.conv2d(total, head.predictor.weight, head.predictor.bias)
    assert torch.allclose(head(maps), expected, atol=1e-5)
    assert head({name: m[:0] for name, m in maps.items()}).shape == (0, 5, 32, 16)


def test_the_loss_is_that_of_enlarged_scores(pictures):
    """Cross-entropy at the size of the padded input; padding and -1 do not count."""
    images, targets = pictures
    maps = truth(targets)
    images[1], maps[1] = images[1][:, :40, :50], maps[1].crop((0, 0, 50, 40))
    maps[0] = SemanticMap(maps[0].labels.clone())
    maps[0].labels[:10] = -1
    model = tiny(loss_weight=0.5).eval()
    loss = model(images, maps)["semantic"]
    batch = model.preprocess(images)
    logits = functional.interpolate(
        model.head(model.backbone(batch.tensor)), scale_factor=4, mode="bilinear"
    )
    labels = torch.full((2, 64, 64), -1)
    labels[0], labels[1, :40, :50] = maps[0].labels, maps[1].labels
    assert torch.allclose(
        loss, 0.5 * functional.cross_entropy(logits, labels, ignore_index=-1), atol=1e-6
    )


@pytest.mark.parametrize("labelled", [True, False])
def test_a_gradient_reaches_every_parameter(pictures, labelled):
    """Also without a labelled pixel: gradients are 0 then, never missing."""
    images, targets = pictures
    maps = truth(targets)
    if not labelled:
        maps = [SemanticMap.empty(one.image_size) for one in maps]
    model = tiny()
    losses = model(images, maps)
    assert set(losses) == {"semantic"}
    losses["semantic"].backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads.values())
    # The coarsest level of the pyramid, p6, is made by pooling and read by nobody here.
    assert all(bool(grad.any()) == labelled for grad in grads.values())


def test_seed_mode_and_checkpoint_decide_nothing_else(pictures):
    """Equal seeds give equal weights, which survive a state dict; train mode changes nothing."""
    images, _ = pictures
    one, other = tiny(), tiny(num_classes=3)
    with torch.no_grad():
        first = one.eval()(images)[0].logits
        assert torch.equal(first, other.train()(images)[0].logits)
        third = semantic_fpn(
            num_classes=3,
            preprocess=PREPROCESS,
            depth=18,
            width=8,
            norm=group_norm(4),
            freeze_at=0,
            fpn_channels=16,
            head_channels=16,
            head_norm=group_norm(4),
        )
        third.load_state_dict(one.state_dict())
        assert torch.equal(first, third(images)[0].logits)


def test_mixed_precision_gives_float32_losses(pictures):
    """Convolutions in bfloat16, loss in float32, scores of either."""
    images, targets = pictures
    model = tiny()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(images, truth(targets))["semantic"]
        scores = model(images)[0]
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert scores.to_semantic_map().image_size.as_tuple() == (64, 64)


def test_targets_that_do_not_fit_are_named(pictures):
    """Number, type, size and classes, with the position."""
    images, targets = pictures
    maps, model = truth(targets), tiny()
    with pytest.raises(ShapeError, match="one per image"):
        model(images, maps[:1])
    with pytest.raises(DtypeError, match=r"targets\[0\].*Instances.*target_maker"):
        model(images, targets)
    assert isinstance(targets[0], Instances)
    with pytest.raises(ShapeError, match=r"targets\[1\]"):
        model(images, [maps[0], maps[1].crop((0, 0, 9, 9))])
    wrong = maps[1].relabelled((0, 1, 3))
    with pytest.raises(InvalidValueError, match=r"targets\[1\].*-1\.\.2, got 3 at row 20"):
        model(images, [maps[0], wrong])


def test_parts_that_do_not_fit_are_named():
    """A missing level, other channels, another stride, strides that are no powers of 2."""
    backbone = tiny().backbone
    for spec, message in (
        ({"p9": FeatureSpec(channels=16, stride=4)}, "p9 missing"),
        ({"p2": FeatureSpec(channels=9, stride=4)}, "channels of 9 at 'p2', FPN gives 16"),
        ({"p3": FeatureSpec(channels=16, stride=4)}, "stride of 4 at 'p3', FPN gives 8"),
    ):
        with pytest.raises(CompositionError, match=message):
            SemanticSegmentor(
                preprocess=PREPROCESS,
                backbone=backbone,
                head=SemanticFPNHead(spec, num_classes=2, channels=8),
            )
    with pytest.raises(CompositionError, match="power of 2"):
        SemanticFPNHead({"p3": FeatureSpec(channels=16, stride=12)}, num_classes=2)
    with pytest.raises(CompositionError, match="num_classes"):
        tiny(num_classes=0)


def overfit(model, images, maps, steps):
    """Train on one batch; the share of pixels that are right then."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(model(images, maps).values()).backward()
        optimizer.step()
    with torch.no_grad():
        found = [scores.to_semantic_map().labels for scores in model.eval()(images)]
    pairs = zip(found, maps, strict=True)
    return float(torch.stack([(a == b.labels).float().mean() for a, b in pairs]).mean())


def test_it_learns_two_pictures(pictures):
    """After 25 steps nine pixels in ten are right; fresh weights are far from it."""
    images, targets = pictures
    maps = truth(targets)
    assert overfit(tiny(), images, maps, 0) < 0.7
    assert overfit(tiny(), images, maps, 25) > 0.9
