"""Transformers leave Python: exported programs compute what the modules do."""

import pytest
import torch
from torch import nn

from geodet.models.backbones import SwinBlock, mvit, swin, vit
from geodet.models.necks import LastLevelMaxPool, SimpleFeaturePyramid


def _plain():
    net = vit(channels=16, depth=2, num_heads=2, global_blocks=(1,), image_side=64, window_side=3)
    return SimpleFeaturePyramid(net, channels=8, top=LastLevelMaxPool())


def _shifted():
    return swin(channels=8, depths=(2, 2), num_heads=(1, 2), out_features=("scale2", "scale3"))


def _pooled():
    return mvit(channels=8, depth=4, stage_ends=(0, 1, 2, 3), window_side=8)


def test_an_exported_block_takes_any_number_of_images():
    """The short version of the test below."""
    torch.manual_seed(0)
    block = SwinBlock(8, num_heads=2, norm=nn.LayerNorm, window_side=3, shift=1).eval()
    batch = torch.export.Dim("batch", min=1, max=16)
    tokens = torch.randn(3, 5, 7, 8)
    program = torch.export.export(block, (tokens[:2],), dynamic_shapes=({0: batch},))
    torch.testing.assert_close(program.module()(tokens), block(tokens))


@pytest.mark.slow
@pytest.mark.parametrize("make", [_plain, _shifted, _pooled])
def test_exported_programs_take_any_number_of_images(make):
    """One size of image, any batch; grids that windows do not divide."""
    torch.manual_seed(0)
    model = make().eval()
    batch = torch.export.Dim("batch", min=1, max=16)
    program = torch.export.export(
        model, (torch.randn(2, 3, 96, 160),), dynamic_shapes=({0: batch},)
    )
    images = torch.randn(3, 3, 96, 160)
    exported, wanted = program.module()(images), model(images)
    assert list(exported) == list(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(exported[name], value)
