"""PointRend for classes of pixels: rendering, losses, and what it learns."""

import pytest
import torch
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models import Preprocess, group_norm, point_rend_semantic_fpn
from geodet.models.features import FeatureSpec
from geodet.models.heads import PointHead, PointRendSemanticHead, SemanticFPNHead
from geodet.models.heads.point_sampling import sample_maps
from geodet.models.published.detectron2 import DETECTRON2
from geodet.models.published.names import published_names
from geodet.structures import SemanticMap

SPECS = {"p2": FeatureSpec(channels=4, stride=4), "p3": FeatureSpec(channels=4, stride=8)}


def head(**changes):
    """Three classes, coarse scores of stride 4, two doublings."""
    torch.manual_seed(0)
    options = {
        "coarse_head": SemanticFPNHead(SPECS, num_classes=3, channels=8, norm=group_norm(2)),
        "point_head": PointHead(4, num_classes=3, channels=(8,)),
        "specs": {"p2": SPECS["p2"]},
        "train_points": 50,
        "subdivision_points": 100,
    }
    return PointRendSemanticHead(**{**options, **changes})


def maps():
    """Feature maps of two images of 32 x 40 pixels."""
    generator = torch.Generator().manual_seed(1)
    return {
        "p2": torch.randn(2, 4, 8, 10, generator=generator),
        "p3": torch.randn(2, 4, 4, 5, generator=generator),
    }


def test_rendering_is_the_subdivision_of_the_paper():
    """Written out: doubled, then classified anew where the two best classes are nearest."""
    model, features = head(), maps()
    with torch.no_grad():
        model.point_head.predictor.weight.mul_(300)  # what points say differs from coarse scores
        coarse = model.coarse_head(features)
        logits = coarse
        for _ in range(2):
            logits = functional.interpolate(logits, scale_factor=2, mode="bilinear")
            height, width = logits.shape[2:]
            best = logits.sort(dim=1, descending=True).values
            cells = (best[:, 1] - best[:, 0]).flatten(1).argsort(1, descending=True)[:, :100]
            x, y = (cells % width + 0.5) / width, (cells // width + 0.5) / height
            points = torch.stack([x, y], dim=-1)
            anew = model.point_head(
                sample_maps(features["p2"], points), sample_maps(coarse, points)
            )
            flat = logits.flatten(2)
            for image in range(2):
                flat[image, :, cells[image]] = anew[image]
            logits = flat.view(2, 3, height, width)
        found = model(features)
    assert model.stride == 1
    assert found.shape == (2, 3, 32, 40)
    assert not torch.equal(found, functional.interpolate(coarse, size=(32, 40), mode="bilinear"))
    # a cell at the edge of the budget may be chosen or not by rounding
    assert ((found - logits).abs() < 1e-4).float().mean() > 0.99


def test_the_loss_of_points_is_their_mean_cross_entropy():
    """One class everywhere: any points give the same labels; pixels of -1 do not count."""
    model, features = head(), maps()
    labels = torch.full((2, 32, 40), 2)
    labels[1] = -1
    losses = model.losses(features, labels)
    assert set(losses) == {"semantic", "semantic_points"}
    coarse = model.coarse_head.losses(features, labels)["semantic"]
    torch.testing.assert_close(losses["semantic"], coarse)
    torch.manual_seed(4)
    sure = model.losses(features, labels)["semantic_points"]
    torch.manual_seed(4)
    flipped = model.losses(features, labels, weights=torch.full((2, 32, 40), 2.0))
    torch.testing.assert_close(flipped["semantic_points"], 2 * sure)
    sum(losses.values()).backward()
    assert all(value.grad.abs().sum() > 0 for value in model.parameters())


def test_nothing_labelled_gives_zero_losses_with_gradients():
    """An image of pixels without class trains nothing and breaks nothing."""
    model = head()
    losses = model.losses(maps(), torch.full((2, 32, 40), -1))
    assert all(loss == 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(value.grad is not None for value in model.parameters())
    none = {name: value[:0] for name, value in maps().items()}
    assert head()(none).shape == (0, 3, 32, 40)


def test_points_take_the_labels_of_the_pixels_they_fall_into():
    """A head that knows the column of a pixel is right about labels by column alone."""
    model = head()
    labels = torch.arange(40).expand(2, 32, 40) // 14
    features = maps()
    x = (torch.arange(10) * 4 + 2.0).expand(8, 10)
    features["p2"] = torch.stack([x, x, x, x]).expand(2, 4, 8, 10).clone()
    seen = {}
    inner = model.point_head.forward

    def knows(fine, coarse):
        column = fine[:, 0]  # wrong within half a cell of the border, where the map fades to 0
        seen["column"] = column
        scores = torch.stack([(column // 14 == k).float() * 50 for k in range(3)], dim=1)
        return scores + 0 * inner(fine, coarse)

    model.point_head.forward = knows
    loss = model.losses(features, labels)["semantic_points"]
    assert seen["column"].shape == (2, 50)
    assert loss < 10  # 50 for each wrong point: fewer than a fifth, those at the borders


def tiny(**changes):
    """Semantic FPN with PointRend on a narrow ResNet-18."""
    torch.manual_seed(0)
    options = {
        "num_classes": 3,
        "preprocess": Preprocess(
            channel_order="rgb", mean=(60.0,) * 3, std=(60.0,) * 3, size_divisor=32
        ),
        "depth": 18,
        "width": 8,
        "norm": group_norm(4),
        "fpn_channels": 16,
        "head_channels": 16,
        "head_norm": group_norm(4),
        "point_channels": (16, 16),
        "train_points": 256,
        "subdivision_points": 512,
    }
    return point_rend_semantic_fpn(**{**options, **changes})


def test_a_model_learns_two_pictures(pictures):
    """Pixels of rectangles are found, and the map has the size of the image."""
    images, targets = pictures
    truths = []
    for target in targets:
        labels = torch.zeros(target.image_size.as_tuple(), dtype=torch.int64)
        for mask, label in zip(target.masks.data, target.labels, strict=True):
            labels[mask] = label + 1
        truths.append(SemanticMap(labels))
    model = tiny()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(35):
        loss = sum(model(images, truths).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(images)
    for scores, truth in zip(found, truths, strict=True):
        predicted = scores.to_semantic_map()
        assert predicted.image_size == truth.image_size
        assert (predicted.labels == truth.labels).float().mean() > 0.93


def test_tensors_are_those_of_detectron2():
    """Names and shapes of the head of its project, from their definition there."""
    with torch.device("meta"):
        model = point_rend_semantic_fpn(num_classes=54)
    names = published_names(model, DETECTRON2)
    found = {names[key]: tuple(value.shape) for key, value in model.state_dict().items()}
    assert found["sem_seg_head.point_head.fc1.weight"] == (256, 256 + 54, 1)
    assert found["sem_seg_head.point_head.predictor.weight"] == (54, 256 + 54, 1)
    assert found["sem_seg_head.coarse_sem_seg_head.predictor.weight"] == (54, 128, 1, 1)
    assert found["sem_seg_head.coarse_sem_seg_head.p5.4.weight"] == (128, 128, 3, 3)


def test_parts_that_do_not_fit_are_refused():
    """Channels, classes, strides and numbers."""
    with pytest.raises(CompositionError, match="PointHead expects 5 channels"):
        head(point_head=PointHead(5, num_classes=3))
    with pytest.raises(CompositionError, match="SemanticFPNHead scores 3 classes, PointHead 2"):
        head(point_head=PointHead(4, num_classes=2))
    with pytest.raises(CompositionError, match="stride 4 cannot double 3 times"):
        head(subdivision_steps=3)
    with pytest.raises(CompositionError, match="oversampling >= 1"):
        head(oversampling=0.0)
