"""Mask head: losses against torchvision's, and the choice of class."""

import pytest
import torch
from torchvision.models.detection.roi_heads import maskrcnn_inference, maskrcnn_loss

from geodet.errors import CompositionError
from geodet.models import MaskHead, RoiPooler
from geodet.models.heads import Regions, mask_targets
from geodet.structures import BitMasks

CLASSES = 3


def _head(**changes):
    options = {
        "pooler": RoiPooler({"p2": 4, "p3": 8}, output_side=4),
        "in_channels": 6,
        "num_classes": CLASSES,
        "conv_channels": (8, 5),
    }
    return MaskHead(**{**options, **changes})


def _features():
    generator = torch.Generator().manual_seed(0)
    return {
        "p2": torch.randn(2, 6, 16, 16, generator=generator),
        "p3": torch.randn(2, 6, 8, 8, generator=generator),
    }


ROIS = torch.tensor([[0.0, 4, 4, 40, 36], [0, 20, 10, 60, 60], [1, 0, 0, 64, 64]])
LABELS = torch.tensor([2, 0, 1])


def test_one_map_per_class_of_twice_the_side():
    """The upsampling doubles the pooled side."""
    regions = Regions(_features(), ROIS, LABELS)
    for head, maps in ((_head(), CLASSES), (_head(class_agnostic=True), 1)):
        assert head(head.read(regions)).shape == (3, maps, 8, 8)


def test_loss_and_probabilities_equal_torchvision():
    """Masks that fill their region or miss it: torchvision's own targets, loss and sigmoid."""
    torch.manual_seed(0)
    head = _head()
    logits = torch.randn(3, CLASSES, 8, 8)
    boxes = torch.tensor([[1.0, 1, 9, 9], [4, 4, 12, 12], [1, 3, 7, 13]])
    masks = torch.tensor([True, False, True])[:, None, None].expand(3, 16, 16).contiguous()
    wanted = maskrcnn_loss(logits, [boxes], [masks.float()], [LABELS], [torch.arange(3)])
    rois = torch.cat([torch.zeros(3, 1), boxes], dim=1)
    targets = mask_targets([BitMasks(masks)], torch.arange(3), rois, 8)
    torch.testing.assert_close(head.loss_of(logits, LABELS, targets), wanted)
    probabilities = head.select(logits, LABELS)
    torch.testing.assert_close(probabilities, maskrcnn_inference(logits, [LABELS])[0][:, 0])


def test_targets_are_the_mask_inside_the_region():
    """A region of 8 x 8 whole pixels, resampled to 8 x 8 cells, is cut out unchanged."""
    masks = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5
    rois = torch.tensor([[0.0, 8, 4, 16, 12]])
    targets = mask_targets([BitMasks(masks)], torch.tensor([0]), rois, 8)
    assert torch.equal(targets[0], masks[0, 4:12, 8:])


def test_targets_follow_image_and_row():
    """Each region gets the mask that it was matched to, of its own image."""
    first, second = torch.zeros(2, 16, 16, dtype=torch.bool), torch.ones(1, 16, 16).bool()
    first[1] = True
    rois = torch.tensor([[0.0, 0, 0, 8, 8], [0, 0, 0, 8, 8], [1, 4, 4, 12, 12]])
    indices = torch.tensor([1, 0, 0])
    targets = mask_targets([BitMasks(first), BitMasks(second)], indices, rois, 4)
    assert targets.flatten(1).float().mean(1).tolist() == [1, 0, 1]
    assert mask_targets([BitMasks(first)], indices[:0], rois[:0], 4).shape == (0, 4, 4)


def test_no_foreground_gives_zero_gradients_not_none():
    """Distributed training waits for a gradient of every parameter."""
    head = _head()
    none = torch.zeros(0, dtype=torch.int64)
    regions = Regions(_features(), torch.zeros(0, 5), none)
    loss = head.losses(regions, [None, None], none)["masks"]
    loss.backward()
    assert loss == 0
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())
    assert head.predict(regions).shape == (0, 8, 8)


def test_a_head_needs_a_convolution():
    """The upsampling takes its channels from the last one."""
    with pytest.raises(CompositionError, match="conv_channels"):
        _head(conv_channels=())
