"""Two-stage detectors of rotated boxes: shapes, gradients, kinds, and learning by heart."""

from functools import partial

import pytest
import torch

from geodet.errors import DtypeError, InvalidValueError
from geodet.models import (
    ROTATED,
    IouLoss,
    Preprocess,
    faster_rcnn_fpn,
    group_norm,
    rotated_faster_rcnn_fpn,
)
from geodet.models.detectors import fpn_mask_head
from geodet.structures import BitMasks, Boxes, ImageSize, Instances, RoiMasks, RotatedBoxes

LOSSES = {"rpn_objectness", "rpn_boxes", "box_classes", "box_deltas"}
# cx, cy, w, h, angle, label on a 64 x 64 picture.
SCENES = (
    ((22, 24, 30, 12, 35, 0), (46, 44, 24, 12, -60, 1)),
    ((32, 32, 44, 18, 80, 1),),
)


def _tiny(**changes):
    torch.manual_seed(0)
    options = {
        "num_classes": 2,
        "preprocess": Preprocess(
            channel_order="rgb", mean=(60.0,) * 3, std=(60.0,) * 3, size_divisor=32
        ),
        "depth": 18,
        "width": 16,
        "norm": group_norm(8),
        "freeze_at": 0,
        "fpn_channels": 48,
        "anchor_sizes": (16, 24, 48, 128, 256),
        "rpn_samples": 64,
        "train_proposals": (400, 200),
        "test_proposals": (100, 50),
        "box_samples": 64,
        "box_features": (128, 128),
    }
    return rotated_faster_rcnn_fpn(**{**options, **changes})


def _picture(rows):
    """Dark noise with bright turned rectangles: label 0 red, label 1 blue; green at the top."""
    size = ImageSize(64, 64)
    generator = torch.Generator().manual_seed(len(rows))
    image = torch.randint(0, 60, (3, 64, 64), generator=generator, dtype=torch.uint8)
    table = torch.tensor(rows, dtype=torch.float32)
    boxes = RotatedBoxes(table[:, :5])
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    points = torch.stack([x, y], dim=-1).reshape(-1, 2)
    masks = boxes.contains(points).view(-1, 64, 64)
    angle = torch.deg2rad(table[:, 4])
    up = torch.stack([-angle.sin(), -angle.cos()], dim=1)  # of the box, on the screen
    above = ((points[None] - boxes.centers()[:, None]) * up[:, None]).sum(-1).view(-1, 64, 64) > 0
    for mask, half, label in zip(masks, above, table[:, 5].long().tolist(), strict=True):
        image[2 * label, mask] += 180
        image[1, mask & half] += 150
    labels = table[:, 5].long()
    return image, Instances(size, boxes=boxes, labels=labels, masks=BitMasks(masks))


@pytest.fixture
def turned():
    """Two pictures with two and one turned rectangles."""
    images, targets = zip(*(_picture(scene) for scene in SCENES), strict=True)
    return list(images), list(targets)


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("box_loss", [None, IouLoss("giou")], ids=["l1", "giou"])
def test_losses_are_finite_and_reach_every_parameter(turned, negative, box_loss):
    """With and without objects, by distance and by overlap."""
    model = _tiny(box_loss=box_loss)
    images, targets = turned
    if negative:
        targets = [Instances(target.image_size) for target in targets]
    losses = model(images, targets)
    assert set(losses) == LOSSES
    assert all(torch.isfinite(loss) for loss in losses.values())
    sum(losses.values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    if negative:
        assert losses["rpn_boxes"] == losses["box_deltas"] == 0
    else:
        assert model.counts["rpn_positive"] > 0
        assert model.counts["box_foreground"] > 0


def test_detections_are_rotated_boxes_beside_masks():
    """Angles in [-180, 180), sides positive; masks lie in the turned boxes."""
    mask_head = partial(fpn_mask_head, num_classes=2, conv_channels=(8,), kind=ROTATED)
    model = _tiny(score_threshold=0.0, mask_head=mask_head).eval()
    images = [torch.randint(0, 256, (3, 50, 67), dtype=torch.uint8)]
    with torch.no_grad():
        (found,) = model(images)
    assert 0 < len(found) <= 100
    assert isinstance(found.boxes, RotatedBoxes)
    found.validated(num_classes=2)
    angles = found.boxes.angles_deg()
    assert ((angles >= -180) & (angles < 180)).all()
    assert found.boxes.nonempty().all()
    assert isinstance(found.masks, RoiMasks)
    assert (found.scores.diff() <= 0).all()


def test_masks_train_beside_rotated_boxes(turned):
    """One loss more, with a gradient for the head."""
    mask_head = partial(fpn_mask_head, num_classes=2, conv_channels=(8,), kind=ROTATED)
    model = _tiny(mask_head=mask_head)
    losses = model(*turned)
    assert set(losses) == LOSSES | {"masks"}
    losses["masks"].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.mask_head.parameters())


def test_mixed_precision_gives_float32_losses(turned):
    """bfloat16 inside; offsets, angles and sums in float32 outside."""
    model = _tiny(score_threshold=0.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(*turned)
        (found, _) = model(turned[0])
    sum(losses.values()).backward()
    assert all(loss.dtype == torch.float32 and torch.isfinite(loss) for loss in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    assert found.boxes.cxcywha.dtype == found.scores.dtype == torch.float32


def test_checkpoints_and_seeds_repeat_everything(turned):
    """All weights in, all weights out; the global seed decides what is sampled."""
    first, second = _tiny(score_threshold=0.0).eval(), _tiny(score_threshold=0.0).eval()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
        second.load_state_dict(first.state_dict())
        for a, b in zip(first(turned[0]), second(turned[0]), strict=True):
            assert a.equal(b)
    values = []
    for seed, model in ((5, first), (5, second), (6, second)):
        torch.manual_seed(seed)
        values.append(torch.stack(list(model(*turned).values())))
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


def test_boxes_of_the_wrong_kind_are_named_with_the_way_out(turned):
    """Upright truth, or broken rotated truth, for a rotated model."""
    images, targets = turned
    upright = targets[0].with_(boxes=targets[0].boxes.hull())
    with pytest.raises(
        DtypeError,
        match=r"targets\[0\]\.boxes: the model takes RotatedBoxes, got Boxes.*to_rotated",
    ):
        _tiny()(images, [upright, targets[1]])
    broken = RotatedBoxes(targets[0].boxes.cxcywha * torch.tensor([1, 1, -1, 1, 1.0]))
    with pytest.raises(InvalidValueError, match=r"targets\[0\]\.boxes.*width >= 0"):
        _tiny()(images, [targets[0].with_(boxes=broken), targets[1]])


def test_upright_anchors_and_truth_at_angle_0_give_the_losses_of_upright_boxes():
    """The rotated first stage on unturned boxes is the upright one."""
    torch.manual_seed(0)
    options = {"num_classes": 2, "depth": 18, "width": 8, "fpn_channels": 16, "freeze_at": 0}
    upright = faster_rcnn_fpn(**options, rpn_samples=100_000, box_features=(16,))
    turned = rotated_faster_rcnn_fpn(
        **options, rpn_samples=100_000, box_features=(16,), angles=(0.0,)
    )
    with torch.no_grad():
        for name, parameter in upright.proposals.head.named_parameters():
            other = turned.proposals.head.get_parameter(name)
            if name.startswith("deltas"):
                # Of the five offsets of each anchor the last one stays 0.
                other.zero_()
                other.view(3, 5, *other.shape[1:])[:, :4] = parameter.view(
                    3, 4, *parameter.shape[1:]
                )
            else:
                other.copy_(parameter)
    features = {f"p{i}": torch.rand(1, 16, 128 >> i, 128 >> i) for i in range(2, 7)}
    boxes = Boxes(torch.tensor([[10.0, 10, 60, 40], [70, 60, 120, 110]]))
    a, counts = upright.proposals.losses(upright.proposals(features), [boxes.xyxy])
    b, others = turned.proposals.losses(turned.proposals(features), [boxes.to_rotated().cxcywha])
    assert counts == others
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=1e-5)


def _train(model, images, targets, steps):
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, steps)
    for _ in range(steps):
        losses = model(images, targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return model.eval()(images)


def test_two_pictures_are_learned_by_heart(turned):
    """The right boxes and labels, and the right end up, in a bounded number of steps."""
    images, targets = turned
    found = _train(_tiny(), images, targets, steps=80)
    for predictions, truth in zip(found, targets, strict=True):
        sure = predictions[predictions.scores > 0.6]
        best, match = truth.boxes.pairwise_iou(sure.boxes).max(dim=1)
        assert (best > 0.7).all()
        assert len(sure) <= 2 * len(truth)
        assert torch.equal(sure.labels[match], truth.labels)
        assert sure.boxes[match].same_orientation(truth.boxes, atol_deg=20).all()


@pytest.mark.cuda
def test_cuda_trains_and_predicts_like_the_cpu(turned, cuda):
    """Images and targets come from the CPU; losses and detections are on the device."""
    # Every anchor is sampled, so that no random generator makes the two differ.
    model = _tiny(rpn_samples=100_000, box_samples=10_000, score_threshold=0.0)
    expected = model(*turned)
    model.to(cuda)
    losses = model(*turned)
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.is_cuda for p in model.parameters())
    for name in ("rpn_objectness", "rpn_boxes"):
        # Convolutions may run in TF32, with 10 bits of mantissa.
        torch.testing.assert_close(losses[name].cpu(), expected[name], rtol=0.02, atol=0.01)
    (found, _) = model(turned[0])
    assert found.boxes.cxcywha.is_cuda
    assert len(found) > 0
