"""What backbones of a stem and stages have in common: order, declared shapes, freezing."""

from abc import ABC
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from geodet.errors import CompositionError
from geodet.models.features import Backbone, FeatureSpec
from geodet.models.layers import FrozenBatchNorm2d

__all__ = ["Stage", "StagedBackbone", "Stem", "freeze"]


class Stem(nn.Module, ABC):
    """Abstract: the first layers of a backbone, from images to the input of its first stage.

    Attributes:
        in_channels: channels of the images.
        out_channels: channels out.
        stride: input pixels per cell of its output.
    """

    in_channels: int
    out_channels: int
    stride: int


class Stage(nn.Sequential):
    """Blocks that run one after another; their tensors are `0.*`, `1.*` and so on.

    Args:
        blocks: in order.
        in_channels: channels into the first.
        out_channels: channels out of the last.
        stride: of all of them together.
        names: of the blocks among the stage's tensors; None counts from 0.
    """

    def __init__(
        self,
        blocks: Iterable[nn.Module],
        *,
        in_channels: int,
        out_channels: int,
        stride: int,
        names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        for i, block in enumerate(blocks):
            self.add_module(str(i) if names is None else names[i], block)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride


class StagedBackbone(Backbone, ABC):
    """Abstract: stem and stages, run one after another; the maps of some stages come out.

    Args:
        stem: whose output the first stage reads.
        stages: name -> stage, in the order they run.
        out_features: which stages' maps `forward` returns.
        freeze_at: 0 trains everything, 1 freezes the stem, 2 the first stage too, and so on:
            parameters lose their gradient, batch norms become constants.
    Raises:
        CompositionError: `out_features` names no stage or an unknown one, the channels of two
            neighbours differ, or `freeze_at` is out of range.
    """

    def __init__(
        self,
        *,
        stem: Stem,
        stages: Mapping[str, Stage],
        out_features: Sequence[str],
        freeze_at: int = 0,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        unknown = [feature for feature in out_features if feature not in stages]
        if unknown or not out_features:
            raise CompositionError(
                f"{name}: expected out_features among its stages {list(stages)}, "
                f"got {list(out_features)}"
            )
        if not 0 <= freeze_at <= len(stages) + 1:
            raise CompositionError(
                f"{name}: expected freeze_at in 0..{len(stages) + 1} (stem and {len(stages)} "
                f"stages), got {freeze_at}"
            )
        self.in_channels = stem.in_channels
        self.size_divisor = 1  # every layer takes every size
        self.stem = stem
        self.stage_names = tuple(stages)
        specs = {}
        before, channels, stride = "stem", stem.out_channels, stem.stride
        for stage_name, stage in stages.items():
            if stage.in_channels != channels:
                raise CompositionError(
                    f"{name}: {before!r} gives {channels} channels, {stage_name!r} expects "
                    f"{stage.in_channels}"
                )
            self.add_module(stage_name, stage)
            before, channels, stride = stage_name, stage.out_channels, stride * stage.stride
            specs[stage_name] = FeatureSpec(channels=channels, stride=stride)
        self.feature_specs = {key: specs[key] for key in stages if key in out_features}
        for part in (stem, *stages.values())[:freeze_at]:
            freeze(part)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the maps of the stages asked for.

        Args:
            images: [b, in_channels, H, W].
        Returns:
            Name -> [b, channels, ceil(H / stride), ceil(W / stride)].
        Empty: b = 0 gives maps with b = 0.
        """
        features = self.stem(images)
        maps = {}
        for name in self.stage_names:
            features = self.get_submodule(name)(features)
            if name in self.feature_specs:
                maps[name] = features
        return maps


def freeze(part: nn.Module) -> None:
    """Stop training a part: no parameter has a gradient, batch norms become constants.

    Norms without statistics (group and layer norm) only lose their gradients.

    Args:
        part: changed in place; itself no batch norm.
    Raises:
        CompositionError: a batch norm with a forward pass of its own.
    """
    for parameter in part.parameters():
        parameter.requires_grad_(False)
    for parent in list(part.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d | nn.SyncBatchNorm):
                if type(child).forward not in (nn.BatchNorm2d.forward, nn.SyncBatchNorm.forward):
                    raise CompositionError(
                        f"freeze: {type(child).__name__} computes more than a batch norm, so a "
                        "FrozenBatchNorm2d cannot take its place; freeze it before, or give "
                        "freeze_at=0"
                    )
                setattr(parent, name, FrozenBatchNorm2d.from_batch_norm(child))
