"""Keypoint head: losses written out, decoding, rotated boxes, and Detectron2's layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from geodet.errors import CompositionError, InvalidValueError
from geodet.models.box_kinds import ROTATED, UPRIGHT
from geodet.models.heads import KeypointHead, Regions, RoiPooler
from geodet.structures import Boxes, ImageSize, Keypoints, RotatedBoxes, Skeleton

SKELETON = Skeleton(names=["nose", "left", "right"], flip_pairs=[(1, 2)], sigmas=[0.1] * 3)
SIZE = ImageSize(64, 64)


def head(*, kind=UPRIGHT, **changes):
    """A head of two small convolutions, drawn from a fixed seed."""
    torch.manual_seed(0)
    pooler = RoiPooler({"p2": 4}, output_side=4, kind=kind)
    options = {"pooler": pooler, "in_channels": 5, "skeleton": SKELETON, "conv_channels": (6, 6)}
    return KeypointHead(**{**options, **changes})


def scene():
    """Two images, three regions in them, and the keypoints of their targets."""
    features = {"p2": torch.randn(2, 5, 16, 16, generator=torch.Generator().manual_seed(1))}
    rois = torch.tensor([[0.0, 4, 4, 40, 44], [0.0, 10, 8, 30, 60], [1.0, 20, 20, 60, 50]])
    regions = Regions(features=features, rois=rois, labels=torch.tensor([0, 0, 0]))
    first = Keypoints(
        torch.tensor(
            [
                [[10.0, 12, 2], [20, 30, 1], [50, 30, 2]],  # the last lies outside of the region
                [[12.0, 50, 0], [20, 30, 2], [25, 30, 2]],  # the first is not labelled
            ]
        ),
        SKELETON,
    )
    second = Keypoints(torch.tensor([[[1.0, 1, 2], [2, 2, 2], [3, 3, 2]]]), SKELETON)
    return regions, [first, second], torch.tensor([0, 1, 0])


def test_the_loss_is_cross_entropy_over_the_cells_of_visible_points():
    """Written out point by point; normalised by their number, or by a fixed one per image."""
    model, (regions, truth, rows) = head(), scene()
    logits = model(model.read(regions))
    assert logits.shape == (3, 3, 16, 16)
    expected = []
    for roi, point in ((0, 0), (0, 1), (1, 1), (1, 2)):
        x, y, _ = truth[0].xyv[roi, point].tolist()
        _, x1, y1, x2, y2 = regions.rois[roi].tolist()
        cell = int((y - y1) * 16 / (y2 - y1)) * 16 + int((x - x1) * 16 / (x2 - x1))
        expected.append(-logits[roi, point].flatten().log_softmax(0)[cell])
    total = torch.stack(expected).sum()
    torch.testing.assert_close(model.losses(regions, truth, rows)["keypoints"], total / 4)
    static = head(points_per_image=6.0, loss_weight=3.0)
    static.load_state_dict(model.state_dict())
    found = static.losses(regions, truth, rows)["keypoints"]
    torch.testing.assert_close(found, 3 * total / (2 * 6))


def test_the_loss_is_torchvisions():
    """Where both say the same: the mean over visible points inside their regions."""
    roi_heads = pytest.importorskip("torchvision.models.detection.roi_heads")
    model, (regions, truth, rows) = head(), scene()
    logits = model(model.read(regions))
    expected = roi_heads.keypointrcnn_loss(
        logits,
        [regions.rois[:2, 1:], regions.rois[2:, 1:]],
        [points.xyv for points in truth],
        [rows[:2], rows[2:]],
    )
    torch.testing.assert_close(model.losses(regions, truth, rows)["keypoints"], expected)


def test_layers_are_those_of_detectron2():
    """Convolutions with ReLU, a transposed one of 4 x 4, then bilinear: by torch's functions."""
    model = head()
    maps = torch.randn(2, 5, 4, 4)
    x = maps
    for conv in model.convs:
        x = functional.conv2d(x, conv.weight, conv.bias, padding=1).relu()
    x = functional.conv_transpose2d(
        x, model.score_lowres.weight, model.score_lowres.bias, stride=2, padding=1
    )
    x = functional.interpolate(x, size=(16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(model(maps), x)


@pytest.mark.parametrize("kind", [UPRIGHT, ROTATED])
def test_no_visible_point_and_no_region_give_zero_losses_with_gradients(kind):
    """Distributed training waits for every parameter, whatever is in the batch."""
    model = head(kind=kind)
    for rois in (torch.zeros(0, 1 + kind.columns), torch.ones(2, 1 + kind.columns)):
        rois[:, 0] = 0
        labels = torch.zeros(len(rois), dtype=torch.int64)
        features = {"p2": torch.randn(1, 5, 16, 16)}
        hidden = Keypoints(torch.zeros(1, 3, 3), SKELETON)
        model.zero_grad()
        loss = model.losses(Regions(features, rois, labels), [hidden], labels)["keypoints"]
        loss.backward()
        assert loss == 0
        assert all(value.grad is not None and not value.grad.any() for value in model.parameters())
    none = Regions({"p2": torch.randn(1, 5, 16, 16)}, torch.zeros(0, 1 + kind.columns), labels[:0])
    assert model.losses(none, [None], labels[:0])["keypoints"] == 0
    predicted = model.predict(none)
    assert predicted.shape == (0, 3, 16, 16)
    assert len(model.column(predicted, kind.wrap(none.rois[:, 1:]), SIZE)) == 0


def test_every_parameter_gets_a_gradient_and_bf16_works():
    """A loss of a seen point reaches all weights; autocast gives a loss in float32."""
    model, (regions, truth, rows) = head(), scene()
    model.losses(regions, truth, rows)["keypoints"].backward()
    assert all(value.grad.abs().sum() > 0 for value in model.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.losses(regions, truth, rows)["keypoints"]
    assert loss.dtype == torch.float32
    assert loss.isfinite()


def test_points_are_at_the_peaks_in_the_boxes():
    """The column decodes the maps over each box, upright or rotated."""
    model = head()
    maps = torch.full((1, 3, 16, 16), -5.0)
    maps[0, :, 4, 12] = 10.0
    box = [32.0, 24.0, 32.0, 16.0]
    upright = model.column(maps, Boxes.from_cxcywh(torch.tensor([box])), SIZE)
    assert upright.skeleton == SKELETON
    assert (upright.xyv[0, :, :2] - torch.tensor([41.0, 20.5])).abs().max() < 1.5
    turned = model.column(maps, RotatedBoxes(torch.tensor([[*box, 90.0]])), SIZE)
    # the point (9, -3.5) from the centre, turned counter-clockwise as seen
    assert (turned.xyv[0, :, :2] - torch.tensor([28.5, 15.0])).abs().max() < 1.5


def test_a_rotated_scene_has_the_losses_of_the_upright_one():
    """Turning map, regions and points by 90 degrees changes no number but by rounding."""
    size = ImageSize(64, 64)
    upright, (regions, truth, rows) = head(), scene()
    turned = head(kind=ROTATED)
    turned.load_state_dict(upright.state_dict())
    boxes = RotatedBoxes.from_boxes(Boxes(regions.rois[:, 1:])).rotate_90(1, size)
    moved = Regions(
        {"p2": regions.features["p2"].rot90(1, (2, 3))},
        torch.cat([regions.rois[:, :1], boxes.cxcywha], dim=1),
        regions.labels,
    )
    points = [image.rotate_90(1, size) for image in truth]
    torch.testing.assert_close(
        turned.losses(moved, points, rows)["keypoints"],
        upright.losses(regions, truth, rows)["keypoints"],
        rtol=1e-4,
        atol=1e-5,
    )


def test_mirrored_maps_exchange_left_and_right():
    """What the head would say of the mirrored image has its left and right points swapped."""
    model = head()
    maps = torch.randn(2, 3, 4, 4)
    mirrored = model.mirrored(maps, dim=-1)
    assert torch.equal(mirrored[:, 1], maps[:, 2].flip(-1))
    assert torch.equal(mirrored[:, 0], maps[:, 0].flip(-1))


def test_parts_that_do_not_fit_are_refused():
    """No convolution, no point, no number, and keypoints of another skeleton."""
    with pytest.raises(CompositionError, match="KeypointHead: expected at least one convolution"):
        head(conv_channels=())
    with pytest.raises(CompositionError, match="points_per_image > 0"):
        head(points_per_image=0.0)
    with pytest.raises(CompositionError, match="KeypointHead: expected in_side"):
        head(pooler=None)
    model, (regions, truth, rows) = head(), scene()
    other = Keypoints(torch.zeros(1, 1, 3), Skeleton(names=["tail"], sigmas=[0.1]))
    with pytest.raises(InvalidValueError, match=r"targets\[1\]\.keypoints: KeypointHead learns 3"):
        model.losses(regions, [truth[0], other], rows)


def test_a_head_without_pooler_reads_given_maps():
    """As beside C4: the maps of the box head are what it looks into."""
    model = head(pooler=None, in_side=4)
    regions = Regions(
        {}, torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64), torch.ones(2, 5, 4, 4)
    )
    assert model.predict(regions).shape == (2, 3, 16, 16)
    assert isinstance(model.convs, nn.Sequential)
