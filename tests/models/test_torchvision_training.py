"""Training numbers of Faster R-CNN: losses and gradients of torchvision's, on equal weights."""

import pytest
import torch

from geodet.interop.torchvision import load_checkpoint
from geodet.models import BalancedSampler, FrozenBatchNorm2d
from geodet.models.detectors.torchvision_families import torchvision_rcnn_fpn
from geodet.models.heads import ProposalBudget
from geodet.models.published import published_names
from geodet.models.published.torchvision_detectors import TORCHVISION
from geodet.structures import Boxes, ImageSize, Instances

SIDE = 128
CLASSES = 3
EVERYTHING = 1_000_000


@pytest.fixture(scope="module")
def theirs():
    """A small one of torchvision, with weights that make proposals of many sizes."""
    detection = pytest.importorskip("torchvision.models.detection")
    backbone = detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, trainable_layers=5
    )
    model = detection.FasterRCNN(
        backbone,
        box_head=detection.faster_rcnn.TwoMLPHead(256 * 7 * 7, 64),
        box_predictor=detection.faster_rcnn.FastRCNNPredictor(64, CLASSES + 1),
        min_size=SIDE,
        max_size=SIDE,
        rpn_batch_size_per_image=EVERYTHING,
        rpn_positive_fraction=1.0,
        box_batch_size_per_image=EVERYTHING,
        box_positive_fraction=1.0,
        rpn_pre_nms_top_n_train=1000,
        rpn_post_nms_top_n_train=500,
    )
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            factor = 0.02 if "rpn.head.bbox" in name else 1.0
            parameter.data.normal_(0, factor * (2.0 / parameter[0].numel()) ** 0.5)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(2.0, 4.0)  # keeps the residual sums small
    return model.train()


@pytest.fixture(scope="module")
def ours(theirs):
    """The same weights and numbers; every anchor and region counts, so nothing is drawn."""
    model = torchvision_rcnn_fpn(
        num_classes=CLASSES,
        depth=18,
        norm=FrozenBatchNorm2d,
        freeze_at=0,
        box_features=(64, 64),
    )
    load_checkpoint(model, theirs.state_dict())
    model.proposals.sampler = BalancedSampler(EVERYTHING, 1.0)
    model.proposals.train_budget = ProposalBudget(before_nms=1000, after_nms=500)
    sampler = model.box_head.roi_sampler
    model.box_head.roi_sampler = type(sampler)(sampler.matcher, BalancedSampler(EVERYTHING, 1.0))
    return model


@pytest.fixture(scope="module")
def scene():
    """Two images with four and no objects."""
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(3, SIDE, SIDE, generator=generator) for _ in range(2)]
    boxes = [
        torch.tensor([[10.0, 12, 70, 60], [40, 50, 120, 126], [30, 35, 60, 70], [80, 5, 125, 30]]),
        torch.zeros(0, 4),
    ]
    labels = [torch.tensor([2, 0, 1, 2]), torch.zeros(0, dtype=torch.int64)]
    return images, boxes, labels


@pytest.fixture(scope="module")
def losses(theirs, ours, scene):
    """Four losses of each; ours of the RPN per sampled anchor, as torchvision has them."""
    images, boxes, labels = scene
    wanted = theirs(
        images,
        [{"boxes": b, "labels": lab + 1} for b, lab in zip(boxes, labels, strict=True)],
    )
    size = ImageSize(SIDE, SIDE)
    found = ours(
        [image * 255 for image in images],
        [Instances(size, boxes=Boxes(b), labels=lab) for b, lab in zip(boxes, labels, strict=True)],
    )
    # Detectron2, and so geodet, divides by the wanted sample; torchvision by what it got.
    sampled = int(ours.counts["rpn_positive"] + ours.counts["rpn_negative"])
    factor = EVERYTHING * len(images) / sampled
    found_by_their_name = {
        "loss_objectness": found["rpn_objectness"] * factor,
        "loss_rpn_box_reg": found["rpn_boxes"] * factor,
        "loss_classifier": found["box_classes"],
        "loss_box_reg": found["box_deltas"],
    }
    return found_by_their_name, wanted


def test_losses_equal_torchvision(ours, losses):
    """Assignment, proposals, pooling and all four losses, from the pixels on."""
    found, wanted = losses
    assert ours.counts["rpn_positive"] >= 5
    assert ours.counts["box_foreground"] > 10
    assert ours.counts["box_background"] > 50
    for name, value in wanted.items():
        assert value > 0
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)


def test_gradients_equal_torchvision(theirs, ours, losses):
    """Of every parameter, from the stem to the predictors."""
    found, wanted = losses
    sum(wanted.values()).backward()
    sum(found.values()).backward()
    names = published_names(ours, TORCHVISION)
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    compared = 0
    for name, parameter in ours.named_parameters():
        other = gradients[names[name]]
        if "predictor.class_logits" in name:
            other = other.roll(-1, 0)  # background first there
        elif "predictor.deltas" in name:
            other = other[4:]
        # Sums of thousands of terms in another order.
        scale = float(other.abs().max())
        torch.testing.assert_close(parameter.grad, other, rtol=1e-2, atol=1e-3 * scale)
        compared += 1
    assert compared == len(gradients)
