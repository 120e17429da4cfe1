"""What feature maps look like, and the contract of everything that makes them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

import attrs
from torch import Tensor, nn

from geodet.errors import CompositionError, ShapeError
from geodet.structures import ImageList

__all__ = ["Backbone", "FeatureSpec", "check_divisible", "check_feature_maps", "checked_features"]


@attrs.frozen
class FeatureSpec:
    """Shape of one feature map, relative to the padded input.

    Args:
        channels: channels of the map.
        stride: input pixels per cell, along both axes.
    Raises:
        CompositionError: a number is below 1.
    """

    channels: int
    stride: int

    def __attrs_post_init__(self) -> None:
        if self.channels < 1 or self.stride < 1:
            raise CompositionError(
                f"FeatureSpec: expected channels and stride of at least 1, "
                f"got channels={self.channels}, stride={self.stride}"
            )


class Backbone(nn.Module, ABC):
    """Abstract: turns a padded batch of images into named feature maps.

    Attributes:
        in_channels: channels of the images it takes.
        size_divisor: height and width of the padded input must be multiples of this.
        feature_specs: name -> shape of each map that `forward` returns, finest first.
    """

    in_channels: int
    size_divisor: int
    feature_specs: Mapping[str, FeatureSpec]

    @abstractmethod
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the feature maps.

        Args:
            images: [b, c, H, W] normalised and padded.
        Returns:
            Name -> [b, channels, ceil(H / stride), ceil(W / stride)].
        Empty: b = 0 gives maps with b = 0.
        """


def check_divisible(images: Tensor, divisor: int) -> None:
    """Check that padded images fill whole cells of every map.

    Args:
        images: [b, c, H, W].
        divisor: `size_divisor` of what reads them.
    Raises:
        ShapeError: H or W is no multiple of it.
    """
    height, width = images.shape[-2:]
    if height % divisor or width % divisor:
        raise ShapeError(
            f"images: expected height and width to be multiples of {divisor}, got "
            f"{height} x {width}; give Preprocess size_divisor={divisor}"
        )


def check_feature_maps(
    features: Mapping[str, Tensor], specs: Mapping[str, FeatureSpec], padded: Iterable[int]
) -> None:
    """Check that every declared map is there and has the declared shape.

    A map of another stride would shift every anchor and every pooled region without any error.

    Args:
        features: name -> [b, channels, h, w].
        specs: what was declared.
        padded: height and width of the padded input in pixels: an ImageSize, or plain numbers,
            which compile.
    Raises:
        ShapeError: a map is missing, or has another size or channel count; names the level.
    """
    height, width = padded
    for name, spec in specs.items():
        if name not in features:
            raise ShapeError(f"feature {name!r}: declared, but only {sorted(features)} were made")
        shape = tuple(features[name].shape[1:])
        wanted = (spec.channels, -(-height // spec.stride), -(-width // spec.stride))
        if shape != wanted:
            raise ShapeError(
                f"feature {name!r}: expected [b, {', '.join(map(str, wanted))}] for stride "
                f"{spec.stride} and a padded input of {height} x {width}, got "
                f"{list(features[name].shape)}; correct the FeatureSpec that its maker declares"
            )


def checked_features(backbone: Backbone, batch: ImageList) -> dict[str, Tensor]:
    """Maps of a preprocessed batch, of the shapes that the backbone declares.

    Args:
        backbone: what makes them.
        batch: normalised and padded.
    Returns:
        Name -> [b, channels, h, w].
    Raises:
        ShapeError: a map is missing or has another shape than declared; names the level.
    """
    features: dict[str, Tensor] = backbone(batch.tensor)
    check_feature_maps(features, backbone.feature_specs, batch.tensor.shape[-2:])
    return features
