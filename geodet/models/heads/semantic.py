"""What heads that classify pixels have in common.

Letters: b images, c classes, H x W the padded input in pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.features import Backbone, FeatureSpec
from geodet.models.losses.pixels import PixelLoss

__all__ = ["SemanticHead", "check_maps", "check_semantic_head", "enlarge"]


class SemanticHead(nn.Module, ABC):
    """Abstract: feature maps to scores of every class, at a coarser resolution than the input.

    Attributes:
        specs: name -> shape of each map that it reads.
        stride: input pixels per cell of its scores.
        num_classes: c.
        loss: of the pixels.
        loss_weight: what the loss is multiplied with.
    """

    def __init__(
        self,
        specs: Mapping[str, FeatureSpec],
        *,
        stride: int,
        num_classes: int,
        loss: PixelLoss,
        loss_weight: float,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise CompositionError(
                f"{type(self).__name__}: expected num_classes of at least 1, got {num_classes}"
            )
        self.specs = dict(specs)
        self.stride = stride
        self.num_classes = num_classes
        self.loss = loss
        self.loss_weight = loss_weight

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Score every cell.

        Args:
            features: name -> [b, channels, H / its stride, W / its stride].
        Returns:
            Logits [b, c, ceil(H / stride), ceil(W / stride)].
        Empty: b = 0 gives b = 0.
        """

    def losses(
        self, features: Mapping[str, Tensor], labels: Tensor, weights: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Loss of the scores, enlarged to the pixels of the input first.

        Args:
            features: as for `forward`.
            labels: [b, H, W] int64; -1 does not count.
            weights: [b, H, W], what each pixel's loss is multiplied with; None for 1.
        Returns:
            "semantic": a scalar.
        Empty: without a pixel that counts the loss is 0, with gradients of 0.
        """
        return self.losses_of(self(features), labels, weights)

    def losses_of(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None
    ) -> dict[str, Tensor]:
        """As `losses`, from the logits that `forward` gave."""
        pixels = enlarge(logits, self.stride)[..., : labels.shape[1], : labels.shape[2]]
        return {"semantic": self.loss(pixels, labels, weights) * self.loss_weight}


def enlarge(cells: Tensor, stride: int) -> Tensor:
    """Maps [b, c, h, w] of any float dtype to float32 [b, c, h * stride, w * stride], bilinear."""
    if stride == 1:
        return cells.float()
    return functional.interpolate(
        cells.float(), scale_factor=float(stride), mode="bilinear", align_corners=False
    )


def check_semantic_head(head: SemanticHead, backbone: Backbone) -> None:
    """Raise CompositionError unless the backbone gives every map that the head reads."""
    check_maps(type(head).__name__, head.specs, backbone)


def check_maps(reader: str, specs: Mapping[str, FeatureSpec], backbone: Backbone) -> None:
    """Raise CompositionError unless the backbone gives every map that `reader` reads."""
    maker = type(backbone).__name__
    for name, wanted in specs.items():
        given = backbone.feature_specs.get(name)
        if given is None:
            raise CompositionError(
                f"{reader} reads {list(specs)}, {maker} gives {list(backbone.feature_specs)}: "
                f"{name} missing"
            )
        for what in ("channels", "stride"):
            if getattr(given, what) != getattr(wanted, what):
                raise CompositionError(
                    f"{reader} expects {what} of {getattr(wanted, what)} at {name!r}, {maker} "
                    f"gives {getattr(given, what)}"
                )
