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
# The deformable one takes seconds to trace.
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name == "deformable" else name for name in TRUNKS
]


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
def test_trunks_compile_without_breaks(name):
    """One graph, gradients included; the checks of sizes do not stop it."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    model = TRUNKS[name]().eval()
    image = torch.randn(1, 3, 64, 96)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    wanted = model(image)
    for key, value in compiled(image).items():
        torch.testing.assert_close(value, wanted[key])


@pytest.mark.slow
def test_exported_pyramids_take_any_size():
    """Batch, height and width stay free, the last two in steps of the divisor."""
    torch.manual_seed(0)
    model = TRUNKS["folded"]()
    batch, rows, columns = (torch.export.Dim(name, min=1, max=8) for name in ("b", "h", "w"))
    shapes = ({0: batch, 2: 32 * rows, 3: 32 * columns},)
    with torch.no_grad():
        example = torch.randn(2, 3, 64, 96)
        program = torch.export.export(model, (example,), dynamic_shapes=shapes).module()
        for size in ((1, 3, 96, 64), (3, 3, 128, 160)):
            image = torch.randn(size)
            wanted = model(image)
            for key, value in program(image).items():
                torch.testing.assert_close(value, wanted[key])
