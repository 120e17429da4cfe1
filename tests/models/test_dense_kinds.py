"""Detectors in one stage beyond upright boxes: rotated ones, and heads that look into boxes."""

from functools import partial

import pytest
import torch

from geodet.errors import CompositionError, DtypeError
from geodet.models import (
    ROTATED,
    UPRIGHT,
    AnchorGenerator,
    BoxCoder,
    EmaNormaliser,
    IouLoss,
    MaskHead,
    RetinaNet,
    RetinaNetHead,
    group_norm,
    rotated_retinanet_fpn,
)
from geodet.models.detectors import fpn_keypoint_head, fpn_mask_head
from geodet.structures import Instances, Keypoints, RoiMasks, RotatedBoxes, Skeleton

SMALL_MASKS = partial(fpn_mask_head, num_classes=2, conv_channels=(16,))


@pytest.fixture
def rotated_pictures(pictures):
    """The pictures with their boxes written as turned by a quarter: same regions."""
    images, targets = pictures
    turned = []
    for target in targets:
        cxcywha = target.boxes.to_rotated().cxcywha
        quarter = torch.tensor([90.0]).expand(len(cxcywha), 1)
        boxes = torch.cat([cxcywha[:, :2], cxcywha[:, 2:4].flip(1), quarter], dim=1)
        turned.append(target.with_(boxes=RotatedBoxes(boxes)))
    return images, turned


@pytest.fixture
def tiny_rotated(tiny_retinanet):
    """Makes RetinaNet for rotated boxes, anchors at two angles."""

    def make(**changes):
        upright = tiny_retinanet()
        options = {
            "num_classes": 2,
            "preprocess": upright.preprocess,
            "backbone": upright.backbone,
            "anchor_sizes": (16, 32, 64, 128, 256),
            "angles": (0.0, 90.0),
            "head_convs": 1,
            "head_norm": group_norm(8),
        }
        return rotated_retinanet_fpn(**{**options, **changes})

    return make


@pytest.mark.parametrize("box_loss", [None, IouLoss("iou"), IouLoss("giou")])
@pytest.mark.parametrize("negative", [False, True])
def test_rotated_losses_reach_every_parameter(tiny_rotated, rotated_pictures, box_loss, negative):
    """With offsets compared, or regions; also without any object."""
    model = tiny_rotated(box_loss=box_loss)
    images, targets = rotated_pictures
    if negative:
        targets = [Instances(target.image_size) for target in targets]
    losses = model(images, targets)
    assert set(losses) == {"classes", "boxes"}
    sum(losses.values()).backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert not [name for name, gradient in gradients.items() if gradient is None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    if not negative:
        assert not [name for name, gradient in gradients.items() if not gradient.any()]
        assert model.counts["dense_positive"] >= 3


def test_rotated_detections(tiny_rotated, rotated_pictures):
    """Rotated boxes of the given size, best first, with area."""
    model = tiny_rotated(score_threshold=0.0, candidates_per_level=50).eval()
    images, _ = rotated_pictures
    with torch.no_grad():
        for found in model(images):
            assert isinstance(found.boxes, RotatedBoxes)
            assert len(found) > 0
            assert found.boxes.nonempty().all()
            assert (found.scores.diff() <= 0).all()
            assert (found.boxes.cxcywha[:, 4].abs() <= 180).all()


def test_rotated_boxes_that_stand_upright_cost_what_upright_ones_do(
    tiny_retinanet, tiny_rotated, pictures
):
    """One anchor angle, 0: the same matches, the same focal loss, the same offsets and a turn."""
    images, targets = pictures
    upright = tiny_retinanet(octave_scales=(1.0,))
    rotated = tiny_rotated(angles=(0.0,), backbone=upright.backbone)
    rotated.head.class_tower, rotated.head.box_tower = (
        upright.head.class_tower,
        upright.head.box_tower,
    )
    rotated.head.class_logits = upright.head.class_logits
    columns = torch.arange(3 * 5).reshape(3, 5)[:, :4].flatten()  # all but the turns
    with torch.no_grad():
        rotated.head.deltas.weight.zero_()
        rotated.head.deltas.weight[columns] = upright.head.deltas.weight
        wanted = upright(images, targets)
        turned = [target.with_(boxes=target.boxes.to_rotated()) for target in targets]
        found = rotated(images, turned)
        for name in ("classes", "boxes"):
            torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5)
        assert rotated.counts == upright.counts


def test_boxes_of_the_other_kind_are_refused_by_name(tiny_rotated, tiny_retinanet, pictures):
    """Before anything runs, with what to do about it."""
    images, targets = pictures
    with pytest.raises(DtypeError, match=r"targets\[0\]\.boxes.*takes RotatedBoxes, got Boxes"):
        tiny_rotated()(images, targets)
    turned = [target.with_(boxes=target.boxes.to_rotated()) for target in targets]
    with pytest.raises(DtypeError, match=r"takes Boxes, got RotatedBoxes"):
        tiny_retinanet()(images, turned)


def test_kinds_that_do_not_go_together_are_named(tiny_rotated):
    """Coder, anchors, head, loss and further heads of one kind."""
    model = tiny_rotated()
    names = ("preprocess", "backbone", "head", "anchors", "levels", "matcher", "selector", "coder")
    parts = {name: getattr(model, name) for name in names}
    sizes = [(32,)] * 5
    upright = AnchorGenerator(sizes=sizes, aspect_ratios=(1.0,) * 6, strides=model.anchors.strides)
    head = RetinaNetHead(32, num_classes=2, anchors_per_location=6)
    for change, message in (
        ({"coder": BoxCoder()}, "AnchorGenerator is for RotatedBoxes, BoxCoder for Boxes"),
        ({"anchors": upright}, "AnchorGenerator is for Boxes, RotatedBoxCoder for RotatedBoxes"),
        ({"head": head}, "RetinaNetHead is for Boxes, RotatedBoxCoder for RotatedBoxes"),
        ({"box_loss": IouLoss("ciou")}, "RetinaNet with IouLoss.*no 'ciou'"),
        ({"mask_head": SMALL_MASKS(model.backbone)}, "MaskHead.* Boxes, RetinaNet.* RotatedBoxes"),
    ):
        with pytest.raises(CompositionError, match=message):
            RetinaNet(**{**parts, **change})


SKELETON = Skeleton(
    names=("start", "end"), edges=((0, 1),), flip_pairs=((0, 1),), sigmas=(0.1, 0.1)
)


def _heads(kind):
    """Factories of small heads for both columns."""
    return {
        "mask_head": partial(SMALL_MASKS, kind=kind),
        "keypoint_head": partial(
            fpn_keypoint_head, skeleton=SKELETON, conv_channels=(16,), kind=kind
        ),
    }


@pytest.fixture(params=["tiny_retinanet", "tiny_fcos", "tiny_rotated"])
def looking(request):
    """Makes a small detector of each kind with heads for masks and keypoints."""
    kind = ROTATED if request.param == "tiny_rotated" else UPRIGHT
    return partial(request.getfixturevalue(request.param), **_heads(kind))


@pytest.fixture
def scenes(request, looking, pictures, rotated_pictures):
    """The pictures with boxes of the kind that `looking` takes, and two corners as keypoints."""
    images, targets = pictures
    points = [target.boxes.xyxy.unflatten(1, (2, 2)) for target in targets]
    if looking.func is request.getfixturevalue("tiny_rotated"):
        _, targets = rotated_pictures
    marked = []
    for target, xy in zip(targets, points, strict=True):
        inside = xy + torch.tensor([[2.0, 2.0], [-2.0, -2.0]])
        visible = torch.full((len(xy), 2, 1), 2.0)
        keypoints = Keypoints(torch.cat([inside, visible], dim=2), SKELETON)
        marked.append(target.with_(keypoints=keypoints))
    return images, marked


@pytest.mark.parametrize("negative", [False, True])
def test_columns_are_learned_beside_the_boxes(looking, scenes, negative):
    """A loss more for each, whose gradient reaches its head and the backbone."""
    model = looking()
    images, targets = scenes
    if negative:
        targets = [Instances(target.image_size) for target in targets]
    losses = model(images, targets)
    for column, head in (("masks", "mask_head"), ("keypoints", "keypoint_head")):
        assert (losses[column] == 0) == negative
        model.zero_grad()
        losses[column].backward(retain_graph=True)
        heard = {
            name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()
        }
        heard = {name.partition(".")[0] for name in heard}
        assert heard == (set() if negative else {"backbone", head})
    sum(losses.values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]


def test_heads_train_on_the_truth_and_on_what_matches_it(looking, scenes):
    """Without confident detections on the truth alone; with them on more, of the right class."""
    seen = []

    def watch(model):
        sampler = model.region_sampler
        model.region_sampler = lambda *args, **kw: seen.append(sampler(*args, **kw)) or seen[-1]
        return model

    images, targets = scenes
    kind = watch(looking(score_threshold=1.0)).kind
    watch(looking(score_threshold=1.0))(images, targets)
    watch(looking(score_threshold=0.0))(images, targets)
    truth = torch.cat([kind.unwrap(target.boxes, name="truth") for target in targets])
    alone, more = seen
    assert torch.equal(alone.rois[:, 1:].sort(0).values, truth.sort(0).values)
    assert len(more.labels) > len(alone.labels)
    positive = more.select(torch.nonzero(more.labels < 2).flatten())
    overlap = kind.measures["iou"](positive.rois[:, 1:], positive.target_boxes)
    assert (overlap >= 0.5).all()


def test_columns_belong_to_the_final_boxes(looking, scenes):
    """A soft mask and points per detection; the same when the boxes are given."""
    model = looking(score_threshold=0.0).eval()
    images, _ = scenes
    with torch.no_grad():
        found = model(images)
        bare = [table.with_(masks=None, keypoints=None) for table in found]
        again = model.predict_in_boxes(images, bare)
    for table, repeated in zip(found, again, strict=True):
        assert isinstance(table.masks, RoiMasks)
        assert len(table.masks) == len(table.keypoints) == len(table) > 0
        assert type(table.masks.roi_boxes) is type(table.boxes)
        assert table.equal(repeated)


def test_no_detection_has_no_column(looking):
    """Zero rows in every column."""
    (found,) = looking(score_threshold=1.0)([torch.zeros(3, 40, 40, dtype=torch.uint8)])
    assert len(found) == len(found.masks) == len(found.keypoints) == 0


def test_heads_that_do_not_fit_are_named(tiny_retinanet, tiny_fcos):
    """One that waits for a box head, one of other channels, one of other classes."""
    for family, name in ((tiny_retinanet, "RetinaNet"), (tiny_fcos, "FCOS")):
        bare = MaskHead(pooler=None, in_channels=32, in_side=14, num_classes=2)
        with pytest.raises(CompositionError, match=f"MaskHead has no pooler.*{name} has no box"):
            family(mask_head=lambda _, head=bare: head)
        with pytest.raises(CompositionError, match=f"num_classes=3, {name} has num_classes=2"):
            family(mask_head=partial(fpn_mask_head, num_classes=3))


def test_columns_of_two_pictures_are_learned_by_heart(looking, scenes):
    """The rectangles fill their boxes, and so should their masks; corners are where they are."""
    model = looking(normaliser=EmaNormaliser(initial=10.0))
    images, targets = scenes
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        losses = model(images, targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(images)
    for predictions, truth in zip(found, targets, strict=True):
        best, match = truth.boxes.pairwise_iou(predictions.boxes).max(dim=1)
        assert (best > 0.6).all()
        assert torch.equal(predictions.labels[match], truth.labels)
        assert predictions.boxes[match].same_orientation(truth.boxes, atol_deg=20).all()
        assert (predictions.masks.probabilities[match].mean(dim=(1, 2)) > 0.75).all()
        off = predictions.keypoints.xyv[match, :, :2] - truth.keypoints.xyv[..., :2]
        assert off.norm(dim=-1).mean() < 6  # pixels, of objects of 20 to 40
