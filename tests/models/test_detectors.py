"""Whole detectors: what goes in, what comes out, what they learn."""

import pytest
import torch

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.models import faster_rcnn_fpn
from geodet.structures import (
    BitMasks,
    Boxes,
    ImageSize,
    Instances,
    RoiMasks,
    RotatedBoxes,
)

LOSSES = {"rpn_objectness", "rpn_boxes", "box_classes", "box_deltas", "masks"}


def _empty(size):
    masks = BitMasks(torch.zeros((0, size.height, size.width), dtype=torch.bool))
    return Instances.empty(size).with_(masks=masks)


def test_losses_are_named_finite_scalars_with_a_graph(tiny_mask_rcnn, pictures):
    """One number per kind of loss, and counts to log beside them."""
    model = tiny_mask_rcnn()
    losses = model(*pictures)
    assert set(losses) == LOSSES
    assert all(loss.ndim == 0 and torch.isfinite(loss) and loss > 0 for loss in losses.values())
    assert all(loss.requires_grad for loss in losses.values())
    assert model.counts["rpn_positive"] > 0
    assert model.counts["box_foreground"] > 0


@pytest.mark.parametrize("negative", [False, True])
def test_a_gradient_reaches_every_parameter(tiny_mask_rcnn, pictures, negative):
    """Also in a batch without any object: gradients may be 0 then, never missing."""
    model = tiny_mask_rcnn()
    images, targets = pictures
    if negative:
        targets = [_empty(target.image_size) for target in targets]
    losses = model(images, targets)
    sum(losses.values()).backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert not missing
    if negative:
        assert losses["masks"] == losses["box_deltas"] == losses["rpn_boxes"] == 0
    else:
        dead = [name for name, p in model.named_parameters() if not p.grad.any()]
        assert not dead


def test_detections_are_instances_of_the_given_size(tiny_mask_rcnn):
    """Images of different sizes; boxes inside their own image; masks beside them."""
    model = tiny_mask_rcnn(score_threshold=0.0).eval()
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
        assert isinstance(instances.masks, RoiMasks)
        assert instances.masks.probabilities.shape[1:] == (28, 28)
        assert (instances.scores.diff() <= 0).all()
        assert instances.labels.dtype == torch.int64


def test_other_images_of_a_batch_change_nothing(tiny_mask_rcnn, pictures):
    """Equal sizes: a batch of two gives what two batches of one give."""
    model = tiny_mask_rcnn(score_threshold=0.3).eval()
    images, _ = pictures
    with torch.no_grad():
        together = model(images)
        apart = [model([image])[0] for image in images]
    for a, b in zip(together, apart, strict=True):
        assert len(a) > 0
        # Convolution may sum in another order for another batch size.
        torch.testing.assert_close(a.boxes.xyxy, b.boxes.xyxy, rtol=1e-3, atol=1e-2)
        torch.testing.assert_close(a.scores, b.scores, rtol=1e-3, atol=1e-3)


def test_what_is_returned_follows_from_the_arguments(tiny_mask_rcnn, pictures):
    """Training mode returns detections without targets, and the same ones (no batch norm here)."""
    model = tiny_mask_rcnn(score_threshold=0.0)
    images, targets = pictures
    with torch.no_grad():
        (training, _), (evaluating, _) = model.train()(images), model.eval()(images)
    assert training.equal(evaluating)
    assert set(model.eval()(images, targets)) == LOSSES
    torch.manual_seed(1)
    a = model.train()(images, targets)
    torch.manual_seed(1)
    b = model.eval()(images, targets)
    assert all(torch.equal(a[name], b[name]) for name in LOSSES)


def test_the_global_seed_decides_the_losses(tiny_mask_rcnn, pictures):
    """Same seed, same step; another seed samples other regions."""
    model = tiny_mask_rcnn(rpn_samples=16, box_samples=8)
    values = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        values.append(torch.stack(list(model(*pictures).values())))
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


def test_two_pictures_are_learned_by_heart(tiny_mask_rcnn, pictures):
    """From random weights to the right boxes, labels and masks in a bounded number of steps."""
    model = tiny_mask_rcnn()
    images, targets = pictures
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(80):
        losses = model(images, targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(images)
    for predictions, truth in zip(found, targets, strict=True):
        sure = predictions[predictions.scores > 0.7]
        overlap = truth.boxes.pairwise_iou(sure.boxes)
        best, match = overlap.max(dim=1)
        assert (best > 0.7).all()
        assert len(sure) == len(truth)
        assert torch.equal(sure.labels[match], truth.labels)
        assert (sure.masks.probabilities[match].mean(dim=(1, 2)) > 0.8).all()


def test_negative_images_mix_with_positive_ones(tiny_mask_rcnn, pictures):
    """Instances without any column are an image without objects."""
    images, targets = pictures
    losses = tiny_mask_rcnn()(images, [targets[0], Instances(ImageSize(64, 64))])
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_crowds_are_left_out(tiny_mask_rcnn, pictures):
    """A crowd region trains nothing: same losses as without its row."""
    model = tiny_mask_rcnn()
    images, targets = pictures
    marked = targets[0].with_(is_crowd=torch.tensor([False, True]))
    values = []
    for first in (marked, targets[0][:1]):
        torch.manual_seed(0)
        values.append(model(images, [first, targets[1]]))
    assert all(torch.equal(values[0][name], values[1][name]) for name in LOSSES)


def test_faster_rcnn_needs_no_masks(pictures):
    """Boxes alone: four losses, instances without masks."""
    torch.manual_seed(0)
    model = faster_rcnn_fpn(
        num_classes=2, depth=18, width=8, fpn_channels=16, box_features=(16,), freeze_at=0
    )
    images, targets = pictures
    bare = [target.with_(masks=None) for target in targets]
    assert set(model(images, bare)) == LOSSES - {"masks"}
    (found, _) = model(images)
    assert found.masks is None
    assert model.num_classes == 2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda t: t.with_(labels=t.labels + 1),
            InvalidValueError,
            r"targets\[0\]\.labels.*0\.\.1",
        ),
        (lambda t: t.with_(labels=t.labels - 1), InvalidValueError, r"got -1 in row 0"),
        (lambda t: t.with_(labels=None), DtypeError, r"targets\[0\]\.labels"),
        (lambda t: t.with_(masks=None), DtypeError, r"targets\[0\]\.masks.*without a head"),
        (
            lambda t: t.with_(boxes=Boxes(t.boxes.xyxy * torch.nan)),
            InvalidValueError,
            r"targets\[0\]\.boxes.*finite",
        ),
        (
            lambda t: t.with_(boxes=Boxes(t.boxes.xyxy.flip(1))),
            InvalidValueError,
            r"targets\[0\]\.boxes.*x1 <= x2",
        ),
        (
            lambda t: t.with_(boxes=RotatedBoxes(torch.ones(2, 5))),
            DtypeError,
            r"targets\[0\]\.boxes.*RotatedBoxes",
        ),
        (
            lambda _: Instances.empty(ImageSize(64, 63)),
            ShapeError,
            r"targets\[0\].*images\[0\]",
        ),
    ],
)
def test_wrong_targets_are_named_by_position(tiny_mask_rcnn, pictures, change, error, message):
    """What would be a device-side assert, or nonsense, is a message."""
    images, targets = pictures
    with pytest.raises(error, match=message):
        tiny_mask_rcnn()(images, [change(targets[0]), targets[1]])


def test_as_many_targets_as_images(tiny_mask_rcnn, pictures):
    """A forgotten target is a mistake, not an empty image."""
    images, targets = pictures
    with pytest.raises(ShapeError, match="expected 2, one per image, got 1"):
        tiny_mask_rcnn()(images, targets[:1])


def test_0_to_1_images_are_refused(tiny_mask_rcnn, pictures):
    """The check is inside the detector, where nobody can forget it."""
    images, _ = pictures
    with pytest.raises(InvalidValueError, match=r"images\[0\].*look like 0..1"):
        tiny_mask_rcnn()([image / 255 for image in images])


def test_a_black_picture_without_detections_gives_empty_instances(tiny_mask_rcnn):
    """Nothing above the threshold: zero rows in every column."""
    (found,) = tiny_mask_rcnn(score_threshold=1.0)([torch.zeros(3, 40, 40, dtype=torch.uint8)])
    assert len(found) == 0
    assert found.masks.probabilities.shape == (0, 28, 28)


def test_checkpoint_round_trip(tiny_mask_rcnn, pictures):
    """All weights in, all weights out, same detections."""
    first, second = tiny_mask_rcnn().eval(), tiny_mask_rcnn().eval()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
        second.load_state_dict(first.state_dict())
        images, _ = pictures
        for a, b in zip(first(images), second(images), strict=True):
            assert a.equal(b)


def test_mixed_precision_gives_float32_losses(tiny_mask_rcnn, pictures):
    """bfloat16 inside, sums and boxes in float32 outside; close to full precision."""
    model = tiny_mask_rcnn(rpn_samples=10_000, box_samples=10_000)
    exact = model(*pictures)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(*pictures)
        (found, _) = model(pictures[0])
    sum(losses.values()).backward()
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    assert found.boxes.xyxy.dtype == found.scores.dtype == torch.float32
    for name in ("rpn_objectness", "rpn_boxes"):  # later losses see other proposals
        torch.testing.assert_close(losses[name], exact[name], rtol=0.05, atol=0.01)


@pytest.mark.cuda
def test_cuda_trains_and_predicts_like_the_cpu(tiny_mask_rcnn, pictures, cuda):
    """Images and targets come from the CPU; losses and detections are on the device."""
    # Every anchor is sampled, so that no random generator makes the two differ.
    model = tiny_mask_rcnn(rpn_samples=10_000, box_samples=10_000)
    expected = model(*pictures)
    model.to(cuda)
    losses = model(*pictures)
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.is_cuda for p in model.parameters())
    for name in ("rpn_objectness", "rpn_boxes"):
        # Convolutions may run in TF32, with 10 bits of mantissa.
        torch.testing.assert_close(losses[name].cpu(), expected[name], rtol=0.02, atol=0.01)
    (found, _) = model(pictures[0])
    assert found.boxes.xyxy.is_cuda
    assert found.masks.probabilities.is_cuda
