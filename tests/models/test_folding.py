"""Folding of batch norms: equal results, and what is left alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from geodet.models import FPN, FrozenBatchNorm2d, LastLevelMaxPool, fold_norms, group_norm, resnet
from geodet.models.backbones import RegNetStageSize, regnet, trident_resnet
from geodet.models.layers import ConvNorm, LayerNorm2d


def _randomised(model):
    """Statistics and scales as after training."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, BATCH_NORMS):
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2)
    return model.eval()


BATCH_NORMS = (FrozenBatchNorm2d, nn.BatchNorm2d, nn.SyncBatchNorm)
SIZES = [
    RegNetStageSize(num_blocks=1, channels=8, bottleneck_channels=8, group_width=4),
    RegNetStageSize(num_blocks=2, channels=16, bottleneck_channels=16, group_width=8),
]
MODELS = {
    "resnet": lambda norm: resnet(18, width=8, norm=norm),
    "bottlenecks": lambda norm: resnet(50, width=8, norm=norm, deep_stem=True),
    "deformable": lambda norm: resnet(
        50, width=8, norm=norm, deform_stages=("res4", "res5"), deform_modulated=True
    ),
    "regnet": lambda norm: regnet(SIZES, se_ratio=0.25, norm=norm, out_features=("s1", "s2")),
    "branches": lambda norm: trident_resnet(50, width=8, norm=norm),
    "pyramid": lambda norm: FPN(
        resnet(18, width=8, norm=norm), channels=8, norm=norm, top=LastLevelMaxPool()
    ),
}


def _norms_left(model):
    return [module for module in model.modules() if isinstance(module, BATCH_NORMS)]


@pytest.mark.parametrize("norm", [FrozenBatchNorm2d, nn.BatchNorm2d, nn.SyncBatchNorm])
@pytest.mark.parametrize("name", MODELS)
def test_folded_models_compute_the_same(name, norm):
    """To 1e-9 in double precision: the algebra is exact, only rounding differs."""
    torch.manual_seed(0)
    model = _randomised(MODELS[name](norm)).double()
    for key, parameter in model.named_parameters():
        if "conv2_offset" in key:
            nn.init.normal_(parameter, std=0.05)
    image = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    folded = fold_norms(model)
    assert _norms_left(folded) == []
    with torch.no_grad():
        wanted = model(image)
        for key, value in folded(image).items():
            torch.testing.assert_close(value, wanted[key], rtol=1e-9, atol=1e-9)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_branches_with_shared_weights_fold_too():
    """A norm after each of the three dilations of one convolution is one norm."""
    torch.manual_seed(0)
    model = _randomised(trident_resnet(50, width=8)).double()
    image = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        wanted = model.branches(image)["res4"]
        torch.testing.assert_close(
            fold_norms(model).branches(image)["res4"], wanted, rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_folding_keeps_dtype_and_memory_format(layout):
    """In single precision 16 blocks differ by rounding alone."""
    torch.manual_seed(0)
    model = _randomised(resnet(50, width=8)).to(memory_format=layout)
    folded = fold_norms(model)
    assert folded.res2[0].conv2.weight.is_contiguous(memory_format=layout)
    assert folded.res2[0].conv2.weight.dtype == torch.float32
    image = torch.randn(1, 3, 64, 96).to(memory_format=layout)
    with torch.no_grad():
        wanted = model(image)["res5"]
        given = folded(image)["res5"]
    # 50 layers, each rounding at 6e-8 in another order
    assert (given - wanted).norm() < 1e-5 * wanted.norm()
    assert given.is_contiguous(memory_format=layout)


def test_training_mode_becomes_eval_mode():
    """The copy computes what the model in eval mode does; the model stays as it is."""
    model = _randomised(resnet(18, width=8, norm=nn.BatchNorm2d, freeze_at=2)).train()
    folded = fold_norms(model)
    assert model.training
    assert not folded.training
    image = torch.randn(2, 3, 64, 64)
    wanted = model.eval()(image)["res5"]
    torch.testing.assert_close(folded(image)["res5"], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", [group_norm(4), LayerNorm2d])
def test_norms_of_other_kinds_stay(norm):
    """They depend on the picture."""
    model = resnet(18, width=8, norm=norm).eval()
    folded = fold_norms(model)
    image = torch.randn(1, 3, 64, 64)
    assert list(folded.state_dict()) == list(model.state_dict())
    assert torch.equal(folded(image)["res5"], model(image)["res5"])


def test_sequences_and_declared_pairs_fold():
    """As dense heads build them, and as one's own modules say."""

    class Own(nn.Module):
        conv_norms = (("first", "after"),)

        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(4, 4, 1)
            self.after = nn.BatchNorm2d(4)

        def forward(self, features):
            return functional.relu(self.after(self.first(features)))

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), FrozenBatchNorm2d(4), nn.ReLU(), ConvNorm(4, 4, 1),
        nn.BatchNorm2d(4), nn.ReLU(), Own(),
    )  # fmt: skip
    _randomised(model)
    folded = fold_norms(model)
    assert _norms_left(folded) == []
    image = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(folded(image), model(image), rtol=1e-5, atol=1e-5)


def test_shared_convolutions_keep_their_norms():
    """One convolution with a norm for each of two levels has two results."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 3, 1)
    model = nn.ModuleList(
        [nn.Sequential(conv, nn.BatchNorm2d(3)), nn.Sequential(conv, nn.BatchNorm2d(3))]
    )
    tied = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))
    tied[2].weight = tied[0].weight
    _randomised(model)
    _randomised(tied)
    image = torch.randn(2, 3, 4, 4)
    for branch, folded in zip(model, fold_norms(model), strict=True):
        assert torch.equal(branch(image), folded(image))
    assert torch.equal(tied(image), fold_norms(tied)(image))


def test_norms_that_are_more_or_follow_an_activation_stay():
    """Subclasses may contain an activation; statistics of the batch are no constants."""

    class NormAndReLU(nn.BatchNorm2d):
        def forward(self, features):
            return functional.relu(super().forward(features))

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), NormAndReLU(4), nn.Conv2d(4, 4, 1),
        nn.BatchNorm2d(4, track_running_stats=False), ConvNorm(4, 4, 1, activation=torch.relu),
        nn.BatchNorm2d(4),
    ).eval()  # fmt: skip
    image = torch.randn(2, 3, 4, 4)
    folded = fold_norms(model)
    assert len(_norms_left(folded)) == 3
    assert torch.equal(folded(image), model(image))


def test_detectors_predict_the_same(tiny_mask_rcnn, pictures):
    """Backbone, pyramid and heads in one copy."""
    model = _randomised(tiny_mask_rcnn(norm=FrozenBatchNorm2d))
    images, _ = pictures
    folded = fold_norms(model)
    assert not any(isinstance(module, FrozenBatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        for ours, theirs in zip(folded(images), model(images), strict=True):
            assert len(ours) == len(theirs)
            # single precision: scores and pixels as far as rounding goes
            torch.testing.assert_close(ours.scores, theirs.scores, rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(ours.boxes.xyxy, theirs.boxes.xyxy, rtol=1e-3, atol=1e-2)
