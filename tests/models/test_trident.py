"""TridentNet: branches that share weights, against plain networks of one dilation each."""

import json

import pytest
import torch

from geodet.data.sources.shapes import ShapesSource
from geodet.errors import CompositionError
from geodet.evaluation import CocoEvaluator
from geodet.models import Preprocess, TridentNet, group_norm, resnet, trident_resnet, tridentnet_c4
from geodet.models.backbones import Stage, TridentBlock, TridentResNet
from geodet.models.detectors import BranchMerger, faster_rcnn_c4
from geodet.models.published import DETECTRON2, published_names
from geodet.structures import Boxes, ImageSize, Instances

LOSSES = {"rpn_objectness", "rpn_boxes", "box_classes", "box_deltas"}


def _options(**changes):
    options = {
        "num_classes": 2,
        "preprocess": Preprocess(
            channel_order="rgb", mean=(60.0,) * 3, std=(60.0,) * 3, size_divisor=16
        ),
        "depth": 50,
        "width": 8,
        "norm": group_norm(8),
        "freeze_at": 0,
        "anchor_sizes": (16, 32, 64),
        "rpn_samples": 10_000,  # every anchor and region, so that nothing is drawn
        "box_samples": 10_000,
        "train_proposals": (100, 30),
        "test_proposals": (100, 30),
    }
    return {**options, **changes}


def _tiny(**changes):
    torch.manual_seed(0)
    return tridentnet_c4(**_options(append_targets=True, **changes))


def _backbone(**changes):
    torch.manual_seed(0)
    return trident_resnet(50, width=8, norm=torch.nn.BatchNorm2d, **changes).eval()


@pytest.mark.parametrize("stride_in_1x1", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
def test_each_branch_is_a_plain_resnet_of_its_dilation(stride_in_1x1, groups):
    """The same weights in a network without branches, its res4 dilated by hand."""
    options = {"stride_in_1x1": stride_in_1x1, "groups": groups, "width_per_group": 64 // groups}
    model = _backbone(**options)
    plain = resnet(50, width=8, norm=torch.nn.BatchNorm2d, out_features=("res4",), **options)
    plain.load_state_dict(model.state_dict())
    plain.eval()
    images = torch.randn(2, 3, 64, 80)
    with torch.no_grad():
        found = model.branches(images)["res4"]
        assert found.shape == (6, 128, 4, 5)
        for branch, dilation in enumerate((1, 2, 3)):
            for block in plain.res4:
                block.conv2.dilation = block.conv2.padding = (dilation, dilation)
            wanted = plain(images)["res4"]
            torch.testing.assert_close(found[2 * branch : 2 * branch + 2], wanted)
            if branch == 1:
                torch.testing.assert_close(model(images)["res4"], wanted)


def test_maps_from_before_and_after_the_branches():
    """Those before are repeated, those after are computed per branch; b = 0 gives b = 0."""
    model = _backbone(out_features=("res3", "res4", "res5"))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        one, all_ = model(images), model.branches(images)
        assert list(all_) == ["res3", "res4", "res5"]
        torch.testing.assert_close(all_["res3"], one["res3"].repeat(3, 1, 1, 1))
        torch.testing.assert_close(all_["res5"][2:4], one["res5"])
        assert not torch.allclose(all_["res5"][:2], one["res5"])
        assert model.branches(images[:0])["res4"].shape == (0, 128, 4, 4)


@pytest.mark.parametrize("negative", [False, True])
def test_a_gradient_reaches_every_parameter(pictures, negative):
    """Also without any object; the losses are those of two-stage detectors."""
    model = _tiny()
    images, targets = pictures
    if negative:
        targets = [Instances(target.image_size) for target in targets]
    losses = model(images, targets)
    assert set(losses) == LOSSES
    sum(losses.values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    if not negative:
        assert not [name for name, p in model.named_parameters() if not p.grad.any()]
        assert model.counts["rpn_positive"] > 0
    parts = ("preprocess", "backbone", "num_classes", "kind", "counts", "region_heads")
    assert all(getattr(model, part) == getattr(model.detector, part) for part in parts)


def test_one_branch_of_dilation_1_is_faster_rcnn(pictures):
    """Same weights, same losses, same detections."""
    model = _tiny(dilations=(1,), test_branch=0, score_threshold=0.0)
    plain = faster_rcnn_c4(**_options(score_threshold=0.0))
    plain.load_state_dict(model.detector.state_dict())
    plain.box_head.roi_sampler = model.detector.box_head.roi_sampler  # its share of positives
    images, targets = pictures
    with torch.no_grad():
        found, wanted = model(images, targets), plain(images, targets)
        for name in LOSSES:
            torch.testing.assert_close(found[name], wanted[name])
        for ours, theirs in zip(model.eval()(images), plain.eval()(images), strict=True):
            torch.testing.assert_close(ours.boxes.xyxy, theirs.boxes.xyxy)
            assert len(ours) > 0


def test_losses_are_means_over_the_branches(pictures):
    """The first stage's, of three branches at once and one after another."""
    model = _tiny()
    images, targets = pictures
    with torch.no_grad():
        together = model(images, targets)
        apart = []
        for branch in range(3):
            single = _tiny(test_branch=branch)
            apart.append(single.detector(images, targets))
    for name in ("rpn_objectness", "rpn_boxes"):
        mean = torch.stack([losses[name] for losses in apart]).mean()
        torch.testing.assert_close(together[name], mean)


def test_predictions_come_from_the_test_branch(pictures):
    """Whatever the mode; they differ from branch to branch."""
    images, _ = pictures
    with torch.no_grad():
        results = [_tiny(test_branch=b, score_threshold=0.0).train()(images)[0] for b in (0, 1)]
        again = _tiny(test_branch=1, score_threshold=0.0).eval()(images)[0]
    assert results[1].equal(again)
    assert not torch.equal(results[0].boxes.xyxy, results[1].boxes.xyxy)


def test_all_branches_joined(pictures):
    """As many tables as images; no two of a class overlap more than they may."""
    images, _ = pictures
    model = _tiny(score_threshold=0.0, merger=BranchMerger(0.3, 12)).eval()
    with torch.no_grad():
        found = model(images)
    assert len(found) == 2
    for table in found:
        assert 0 < len(table) <= 12
        assert (table.scores.diff() <= 0).all()
        same = table.labels[:, None] == table.labels
        overlap = table.boxes.pairwise_iou(table.boxes) * same - torch.eye(len(table))
        assert overlap.max() <= 0.3


def test_joining_keeps_the_best_of_a_class():
    """Two branches see one object, and each another one."""
    size = ImageSize(50, 50)

    def table(rows, scores, labels):
        return Instances(
            size,
            boxes=Boxes(torch.tensor(rows)),
            scores=torch.tensor(scores),
            labels=torch.tensor(labels),
        )

    first = table([[0.0, 0, 10, 10], [20.0, 20, 30, 30]], [0.9, 0.5], [0, 1])
    second = table([[0.0, 1, 10, 10], [0.0, 0, 10, 10]], [0.8, 0.7], [0, 1])
    merged = BranchMerger()([first, second], _tiny().kind)
    assert merged.scores.tolist() == pytest.approx([0.9, 0.7, 0.5])
    assert merged.labels.tolist() == [0, 1, 1]


def test_its_tensors_are_those_of_faster_rcnn_c4(shared_dir):
    """Branches share their weights: Detectron2's list of keys has no place for more."""
    keys = json.loads((shared_dir / "parity/keys/faster_rcnn_R_50_C4.keys.json").read_text())
    with torch.device("meta"):
        model = tridentnet_c4(num_classes=80)
    names = published_names(model, DETECTRON2)
    assert {names[k]: list(v.shape) for k, v in model.state_dict().items()} == keys


def test_checkpoint_round_trip(pictures):
    """All weights in, all weights out, same detections."""
    first, second = _tiny(score_threshold=0.0), _tiny(score_threshold=0.0)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
        second.load_state_dict(first.state_dict())
        for a, b in zip(first(pictures[0]), second(pictures[0]), strict=True):
            assert a.equal(b)


def test_what_does_not_fit_is_named():
    """Other blocks, other backbones, branches that are not there."""
    with pytest.raises(CompositionError, match="depth 50 or more"):
        trident_resnet(18, width=8)
    with pytest.raises(CompositionError, match=r"'res5' is not among .*res4"):
        trident_resnet(50, width=8, trident_stage="res5")
    with pytest.raises(CompositionError, match=r"test_branch=3"):
        trident_resnet(50, width=8, test_branch=3)
    with pytest.raises(CompositionError, match=r"TridentNet needs .* got one with ResNet"):
        TridentNet(faster_rcnn_c4(**_options()))
    plain = resnet(50, width=8, out_features=("res4",))
    stages = {name: getattr(plain, name) for name in plain.stage_names}
    with pytest.raises(CompositionError, match="stage of TridentBlocks"):
        TridentResNet(stem=plain.stem, stages=stages, out_features=("res4",))
    assert all(isinstance(block, TridentBlock) for block in _backbone().res4)
    assert isinstance(_backbone().res4, Stage)


def _train(model, images, targets, *, steps, lr):
    """Losses of every step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
    history = []
    for _ in range(steps):
        losses = model(images, targets)
        history.append({name: loss.item() for name, loss in losses.items()})
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    return history


SAMPLED = {
    "rpn_samples": 64,
    "box_samples": 16,
    "train_proposals": (200, 40),
    "test_proposals": (200, 60),
}


def test_a_few_steps_teach_it_where_objects_are(pictures):
    """The short form of the test below: what the first stage costs falls by half and more."""
    history = _train(_tiny(**SAMPLED), *pictures, steps=8, lr=2e-3)
    assert history[-1]["rpn_objectness"] < 0.5 * history[0]["rpn_objectness"]


@pytest.mark.learning
@pytest.mark.slow
def test_shapes_are_learned_by_heart():
    """Eight pictures, 320 steps from weights drawn at random: AP over all thresholds above 0.9."""
    source = ShapesSource(
        8, size=ImageSize(96, 96), seed=1, max_objects=2, lengths=(0.3, 0.6), pattern=0.3
    )
    samples = [source[i] for i in range(len(source))]
    images, targets = [s.image for s in samples], [s.instances for s in samples]
    preprocess = Preprocess(
        channel_order="rgb", mean=(110.0,) * 3, std=(60.0,) * 3, size_divisor=16
    )
    model = _tiny(num_classes=7, preprocess=preprocess, anchor_sizes=(24, 40, 64), **SAMPLED)
    _train(model, images, targets, steps=320, lr=4e-3)
    evaluator = CocoEvaluator(num_classes=7, iou_types=("boxes",))
    with torch.no_grad():
        for image_id, found in enumerate(model.eval()(images)):
            evaluator.update(image_id, found, targets[image_id])
    assert evaluator.result()["boxes"].ap > 0.9
