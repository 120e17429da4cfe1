"""Trunks as fixed programs: `torch.export` takes them as they are."""

import pytest
import torch

from geodet.models import FPN, LastLevelMaxPool, convnext, fold_norms, regnet, resnet
from geodet.models.backbones import RegNetStageSize

SIZES = [
    RegNetStageSize(num_blocks=1, channels=8, bottleneck_channels=8, group_width=4),
    RegNetStageSize(num_blocks=1, channels=16, bottleneck_channels=16, group_width=8),
]
TRUNKS = {
    "pyramid": lambda: FPN(resnet(18, width=8), channels=8, top=LastLevelMaxPool()),
    "folded": lambda: fold_norms(FPN(resnet(18, width=8), channels=8)),
    "regnet": lambda: regnet(SIZES, se_ratio=0.25, out_features=("s1", "s2")),
    "convnext": lambda: convnext(num_blocks=(1, 1), channels=(8, 16), out_features=("s1", "s2")),
    "deformable": lambda: resnet(
        50, width=8, deform_stages=("res3",), deform_modulated=True, out_features=("res3",)
    ),
}


@pytest.mark.parametrize("name", TRUNKS)
def test_exported_programs_compute_the_same(name):
    """For the size they were exported with."""
    torch.manual_seed(0)
    model = TRUNKS[name]().eval()
    example, image = torch.randn(2, 1, 3, 64, 96)
    with torch.no_grad():
        program = torch.export.export(model, (example,)).module()
        wanted = model(image)
        for key, value in program(image).items():
            torch.testing.assert_close(value, wanted[key])
