"""RetinaNet and FCOS alike: what goes in, what comes out, what they learn."""

import re

import pytest
import torch
from torchvision.ops import batched_nms

from geodet.errors import CompositionError, InvalidValueError
from geodet.evaluation import CocoEvaluator
from geodet.interop.detectron2 import load_checkpoint, save_checkpoint
from geodet.models import (
    AnchorGenerator,
    BoxCoder,
    DenseSelector,
    EmaNormaliser,
    FCOSHead,
    RetinaNet,
    RetinaNetHead,
    fcos_fpn,
    retinanet_fpn,
)
from geodet.models.detectors import resnet_fpn_p3_to_p7
from geodet.models.published import DETECTRON2, published_names
from geodet.structures import Boxes, ImageSize, Instances

LOSSES = {"RetinaNet": {"classes", "boxes"}, "FCOS": {"classes", "boxes", "centerness"}}


@pytest.fixture(params=["tiny_retinanet", "tiny_fcos"])
def make(request):
    """Makes a small detector of each kind."""
    return request.getfixturevalue(request.param)


def _names(model):
    return LOSSES[type(model).__name__]


def test_losses_are_named_finite_scalars_with_a_graph(make, pictures):
    """One number per kind of loss, and counts to log beside them."""
    model = make()
    losses = model(*pictures)
    assert set(losses) == _names(model)
    assert all(loss.ndim == 0 and torch.isfinite(loss) and loss > 0 for loss in losses.values())
    assert all(loss.requires_grad for loss in losses.values())
    assert model.counts["dense_positive"] >= 3  # one object, at the least one positive
    assert model.counts["dense_negative"] > model.counts["dense_positive"]


@pytest.mark.parametrize("negative", [False, True])
def test_a_gradient_reaches_every_parameter(make, pictures, negative):
    """Also in a batch without any object: gradients may be 0 then, never missing."""
    model = make()
    images, targets = pictures
    if negative:
        targets = [Instances(target.image_size) for target in targets]
    losses = model(images, targets)
    sum(losses.values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    if negative:
        assert losses["boxes"] == 0
        assert losses.get("centerness", 0) == 0
        assert losses["classes"] > 0
    else:
        assert not [name for name, p in model.named_parameters() if not p.grad.any()]


def test_detections_are_instances_of_the_given_size(make):
    """Images of different sizes; boxes inside their own image; best first."""
    selector = {"score_threshold": 0.0, "candidates_per_level": 200}
    model = make(**selector).eval()
    sizes = [ImageSize(50, 64), ImageSize(40, 33)]
    images = [torch.randint(0, 256, (3, *size.as_tuple()), dtype=torch.uint8) for size in sizes]
    with torch.no_grad():
        found = model(images)
    for size, instances in zip(sizes, found, strict=True):
        assert instances.image_size == size
        assert 0 < len(instances) <= 100
        instances.validated(num_classes=2)
        instances.boxes.validated(size=size)
        assert instances.boxes.nonempty().all()
        assert (instances.scores.diff() <= 0).all()


def test_what_is_returned_follows_from_the_arguments(make, pictures):
    """Training mode returns detections without targets, and the same ones; nothing is random."""
    model = make(score_threshold=0.0)
    images, targets = pictures
    with torch.no_grad():
        (training, _), (evaluating, _) = model.train()(images), model.eval()(images)
        assert training.equal(evaluating)
        a, b = model.train()(images, targets), model.eval()(images, targets)
    assert all(torch.equal(a[name], b[name]) for name in _names(model))


def test_the_normaliser_moves_when_training_and_only_then(make, pictures):
    """Looking at losses, twice or more, changes nothing; a step moves the mean once."""
    model = make(normaliser=EmaNormaliser(initial=50.0))
    with torch.no_grad():
        looked = model(*pictures)
        model(*pictures)
    assert model.normaliser() == 50.0
    stepped = model(*pictures)
    positives = model.counts["dense_positive"].item()
    assert model.normaliser() == pytest.approx(0.9 * 50 + 0.1 * positives)
    for name in _names(model):
        torch.testing.assert_close(stepped[name] * model.normaliser(), looked[name] * 50)


def test_two_losses_can_be_kept_before_going_back(make, pictures):
    """Accumulated gradients: a second pass does not break the graph of the first."""
    model = make()
    (sum(model(*pictures).values()) + sum(model(*pictures).values())).backward()


def test_crowds_are_left_out(make, pictures):
    """A crowd region trains nothing: same losses as without its row."""
    model = make()
    images, targets = pictures
    marked = targets[0].with_(is_crowd=torch.tensor([False, True]))
    with torch.no_grad():
        values = [model(images, [first, targets[1]]) for first in (marked, targets[0][:1])]
    assert all(torch.equal(values[0][name], values[1][name]) for name in _names(model))


def test_checkpoint_round_trip(make, pictures):
    """All weights and the normaliser in and out: same losses, same detections."""
    first, second = make(score_threshold=0.0), make(score_threshold=0.0)
    images, _ = pictures
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    first(*pictures)
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        for a, b in zip(first(images), second(images), strict=True):
            assert a.equal(b)
        a, b = first(*pictures), second(*pictures)
    assert all(torch.equal(a[name], b[name]) for name in _names(first))


def test_detectron2s_files_go_in_and_out(make, tmp_path):
    """Its files lack the normaliser, which then stays as it is; ours bring it back."""
    first, second = make(), make()
    first.normaliser.update(7)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    save_checkpoint(first, tmp_path / "ours.pkl")
    load_checkpoint(second, tmp_path / "ours.pkl")
    assert all(torch.equal(second.state_dict()[key], v) for key, v in first.state_dict().items())
    names = published_names(first, DETECTRON2)
    theirs = {names[key]: value for key, value in first.state_dict().items()}
    del theirs["normaliser.value"]
    torch.save({"model": theirs}, tmp_path / "theirs.pth")
    third = make()
    load_checkpoint(third, tmp_path / "theirs.pth")
    assert third.normaliser() == third.normaliser.initial
    assert all(
        torch.equal(a, b) for a, b in zip(third.parameters(), first.parameters(), strict=True)
    )


def test_mixed_precision_gives_float32_losses(make, pictures):
    """bfloat16 inside, sums and boxes in float32 outside; close to full precision."""
    model = make(score_threshold=0.0)
    with torch.no_grad():
        exact = model(*pictures)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(*pictures)
        (found, _) = model(pictures[0])
    sum(losses.values()).backward()
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    assert found.boxes.xyxy.dtype == found.scores.dtype == torch.float32
    scale = model.normaliser() / model.normaliser.initial
    for name in _names(model):
        torch.testing.assert_close(losses[name] * scale, exact[name], rtol=0.05, atol=0.01)


def test_wrong_targets_are_named_by_position(make, pictures):
    """As in every detector."""
    images, targets = pictures
    wrong = targets[1].with_(labels=targets[1].labels + 1)
    with pytest.raises(InvalidValueError, match=r"targets\[1\]\.labels.*0\.\.1"):
        make()(images, [targets[0], wrong])
    upside_down = targets[0].with_(boxes=Boxes(targets[0].boxes.xyxy.flip(1)))
    with pytest.raises(InvalidValueError, match=r"targets\[0\]\.boxes"):
        make()(images, [upside_down, targets[1]])


def test_a_black_picture_without_detections_gives_empty_instances(make):
    """Nothing above the threshold: zero rows in every column."""
    (found,) = make(score_threshold=1.0)([torch.zeros(3, 40, 40, dtype=torch.uint8)])
    assert len(found) == 0
    assert found.boxes.xyxy.shape == (0, 4)
    assert found.labels.dtype == torch.int64


def test_two_pictures_are_learned_by_heart(make, pictures):
    """From random weights to the right boxes and labels in a bounded number of steps."""
    model = make(normaliser=EmaNormaliser(initial=10.0))
    images, targets = pictures
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        losses = model(images, targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(images)
    evaluator = CocoEvaluator(num_classes=2, iou_types=("boxes",))
    for image_id, (predictions, truth) in enumerate(zip(found, targets, strict=True)):
        evaluator.update(image_id, predictions, truth)
    result = evaluator.result()["boxes"]
    assert result.class_ap(0.5).mean() > 0.99
    assert result.ap > 0.6


def _selected_by_definition(anchors, scores, deltas, size, selector):
    """The rules written out again on torchvision's operators, with every pair decoded."""
    boxes, best, labels = [], [], []
    for level_anchors, level_scores, level_deltas in zip(anchors, scores, deltas, strict=True):
        decoded = BoxCoder().decode(level_anchors, level_deltas[0])
        flat = level_scores[0].flatten()
        order = torch.argsort(flat, descending=True, stable=True)
        order = order[flat[order] > selector.score_threshold][: selector.candidates_per_level]
        num_classes = level_scores.shape[-1]
        boxes.append(decoded[order // num_classes])
        best.append(flat[order])
        labels.append(order % num_classes)
    boxes, best, labels = torch.cat(boxes), torch.cat(best), torch.cat(labels)
    kept = batched_nms(boxes, best, labels, selector.nms_threshold)[: selector.max_detections]
    boxes = boxes[kept]
    boxes[:, 0::2] = boxes[:, 0::2].clamp(0, size.width)
    boxes[:, 1::2] = boxes[:, 1::2].clamp(0, size.height)
    solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return boxes[solid], best[kept][solid], labels[kept][solid]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("candidates", "detections"), [(30, 10), (10_000, 1000)])
def test_selection_equals_its_definition(seed, candidates, detections):
    """Level by level, also where the limits cut nothing, and with boxes beyond the image."""
    generator = torch.Generator().manual_seed(seed)
    anchors = AnchorGenerator(
        sizes=[(16,), (32,)], aspect_ratios=(0.5, 1.0), strides=(8, 16), offset=0.5
    )([(8, 8), (4, 4)])
    scores = [torch.rand(1, len(level), 3, generator=generator) for level in anchors]
    deltas = [torch.randn(1, len(level), 4, generator=generator) * 0.5 for level in anchors]
    selector = DenseSelector(0.5, candidates, 0.5, detections)
    size = ImageSize(50, 60)
    (found,) = selector(anchors, scores, deltas, [size], coder=BoxCoder())
    boxes, best, labels = _selected_by_definition(anchors, scores, deltas, size, selector)
    assert len(best) > 5
    torch.testing.assert_close(found.boxes, boxes)
    torch.testing.assert_close(found.scores, best)
    assert torch.equal(found.labels, labels)


def test_equal_scores_go_to_the_earlier_anchor():
    """Ties break by index, also where only some of the equals fit."""
    anchors = [torch.tensor([[10.0 * i, 0.0, 10.0 * i + 8, 8.0] for i in range(6)])]
    scores = [torch.full((1, 6, 2), 0.7)]
    selector = DenseSelector(0.1, 5, 0.5, 100)
    (found,) = selector(
        anchors, scores, [torch.zeros(1, 6, 4)], [ImageSize(20, 80)], coder=BoxCoder()
    )
    assert found.boxes[:, 0].tolist() == [0.0, 0.0, 10.0, 10.0, 20.0]
    assert found.labels.tolist() == [0, 1, 0, 1, 0]


def test_what_is_not_finite_is_no_detection():
    """A NaN score or box goes, the rest stays."""
    anchors = [torch.tensor([[0.0, 0.0, 8.0, 8.0]]).repeat(3, 1) + 20 * torch.arange(3)[:, None]]
    scores = torch.full((1, 3, 1), 0.9)
    scores[0, 0] = torch.nan
    deltas = torch.zeros(1, 3, 4)
    deltas[0, 1, 0] = torch.inf
    (found,) = DenseSelector()(anchors, [scores], [deltas], [ImageSize(60, 60)], coder=BoxCoder())
    assert found.boxes.tolist() == [[40.0, 40.0, 48.0, 48.0]]


@pytest.mark.parametrize(
    ("head", "shapes"),
    [
        (RetinaNetHead(8, num_classes=3, anchors_per_location=2), [(2, 40, 3), (2, 40, 4)]),
        (FCOSHead(8, num_classes=3), [(2, 20, 3), (2, 20, 4), (2, 20)]),
    ],
)
def test_heads_predict_for_every_anchor(head, shapes):
    """Row, column, anchor; an empty batch gives empty predictions; the prior is 1 %."""
    assert [tuple(part.shape) for part in head(torch.randn(2, 8, 4, 5))] == shapes
    assert [tuple(part.shape) for part in head(torch.randn(0, 8, 4, 5))] == [
        (0, *shape[1:]) for shape in shapes
    ]
    assert torch.allclose(head.class_logits.bias.sigmoid(), torch.tensor(0.01))


def test_channels_are_anchor_by_anchor():
    """Channel a * classes + k of a cell is class k of anchor a, as in published weights."""
    head = RetinaNetHead(1, num_classes=3, anchors_per_location=2, num_convs=0)
    torch.nn.init.zeros_(head.class_logits.weight)
    torch.nn.init.zeros_(head.deltas.weight)
    with torch.no_grad():
        head.class_logits.bias.copy_(torch.arange(6.0))
        head.deltas.bias.copy_(torch.arange(8.0))
    logits, deltas = head(torch.zeros(1, 1, 1, 2))
    assert logits[0].tolist() == [[0, 1, 2], [3, 4, 5]] * 2
    assert deltas[0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]] * 2


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: _tiny(anchor_sizes=(16, 32)), "2 levels, strides for 5"),
        (lambda: RetinaNetHead(8, num_classes=1, anchors_per_location=1, prior=0.0), "prior"),
        (lambda: DenseSelector(max_detections=0), "DenseSelector"),
        (lambda: _with_parts(levels=("p3", "p4")), r"reads 2 levels .* strides for 5"),
        (lambda: _with_parts(levels=("p2", "p3", "p4", "p5", "p6")), "p2 missing"),
        (
            lambda: _with_parts(head=RetinaNetHead(8, num_classes=1, anchors_per_location=2)),
            "2 anchors per location, AnchorGenerator makes 9",
        ),
        (
            lambda: _with_parts(head=RetinaNetHead(16, num_classes=1, anchors_per_location=9)),
            "RetinaNet expects 16 channels at 'p3', FPN gives 8",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(build, message):
    """At construction, not at step 3,000."""
    with pytest.raises(CompositionError, match=message):
        build()


def _narrow(**changes):
    return resnet_fpn_p3_to_p7(depth=18, width=8, fpn_channels=8, freeze_at=0, **changes)


def _tiny(**changes):
    return retinanet_fpn(num_classes=1, backbone=_narrow(), head_convs=1, **changes)


def _with_parts(**changes):
    model = _tiny()
    names = ("preprocess", "backbone", "head", "anchors", "levels", "matcher", "selector")
    return RetinaNet(**{**{name: getattr(model, name) for name in names}, **changes})


def test_another_backbone_takes_the_place_of_the_resnet():
    """Its levels are read as they are declared."""
    backbone = _narrow(top_source="p5")
    model = fcos_fpn(num_classes=1, backbone=backbone, head_convs=1)
    assert model.backbone is backbone
    assert model.levels == ("p3", "p4", "p5", "p6", "p7")
    with pytest.raises(CompositionError, match=re.escape("FCOS expects")):
        model.__class__(
            preprocess=model.preprocess,
            backbone=backbone,
            head=FCOSHead(16, num_classes=1),
            strides={"p3": 8},
            matcher=model.matcher,
            selector=model.selector,
        )


@pytest.mark.cuda
def test_cuda_trains_and_predicts_like_the_cpu(make, pictures, cuda):
    """Images and targets come from the CPU; losses and detections are on the device."""
    model = make(score_threshold=0.0)
    with torch.no_grad():
        expected = model(*pictures)
    model.to(cuda)
    with torch.no_grad():
        seen = model(*pictures)
    for name in _names(model):
        # Convolutions may run in TF32, with 10 bits of mantissa.
        torch.testing.assert_close(seen[name].cpu(), expected[name], rtol=0.02, atol=0.01)
    sum(model(*pictures).values()).backward()
    assert all(p.grad is not None and p.grad.is_cuda for p in model.parameters())
    (found, _) = model(pictures[0])
    assert found.boxes.xyxy.is_cuda
