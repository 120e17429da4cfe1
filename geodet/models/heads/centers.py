"""Where objects have their centres, and where each pixel's centre lies: Panoptic-DeepLab's head.

Letters: b images, h x w cells, H x W pixels of the padded input.
Reference: Cheng et al. 2020 (arXiv 1911.10194), sections 3.1 and 3.3.
"""

from collections.abc import Mapping, Sequence

import attrs
from torch import Tensor, nn

from geodet.models.heads.deeplab import DeepLabDecoder, conv_stack
from geodet.models.heads.semantic import enlarge
from geodet.models.layers import NormFactory, fill_normal

__all__ = ["CenterHead", "CenterTruth"]


@attrs.frozen(eq=False)
class CenterTruth:
    """What a batch trains the head on, at every pixel of the padded input.

    Args:
        heat: [b, H, W] float32, 1 at the centre of an object, falling off around it.
        offsets: [b, 2, H, W] float32, from each pixel down and right to its object's centre.
        heat_weights: [b, H, W] float32, what the squared error of the heat is multiplied with.
        offset_weights: [b, H, W] float32, what the error of the offsets is multiplied with.
    """

    heat: Tensor
    offsets: Tensor
    heat_weights: Tensor
    offset_weights: Tensor


class CenterHead(nn.Module):
    """Decoder, then two branches: heat of centres, and offsets to them.

    Args:
        decoder: maps to one map.
        conv_channels: of the 3x3 convolutions of each branch.
        norm: after those; None gives them biases.
        heat_weight: what the loss of the heat is multiplied with.
        offset_weight: what the loss of the offsets is multiplied with.
    """

    def __init__(
        self,
        decoder: DeepLabDecoder,
        *,
        conv_channels: Sequence[int] = (128, 32),
        norm: NormFactory | None,
        heat_weight: float = 200.0,
        offset_weight: float = 0.01,
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.specs = decoder.specs
        self.stride = decoder.stride
        self.heat_weight = heat_weight
        self.offset_weight = offset_weight
        channels = (decoder.channels, *conv_channels)[-1]
        self.heat_convs = conv_stack(decoder.channels, conv_channels, norm)
        self.heat_predictor = nn.Conv2d(channels, 1, 1)
        self.offset_convs = conv_stack(decoder.channels, conv_channels, norm)
        self.offset_predictor = nn.Conv2d(channels, 2, 1)
        for predictor in (self.heat_predictor, self.offset_predictor):
            fill_normal(predictor, std=0.001)

    def forward(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Predict at every cell.

        Args:
            features: name -> [b, channels, H / its stride, W / its stride].
        Returns:
            Heat [b, 1, h, w], and offsets [b, 2, h, w] in pixels, down and right.
        Empty: b = 0 gives b = 0.
        """
        made = self.decoder(features)
        heat: Tensor = self.heat_predictor(self.heat_convs(made))
        offsets: Tensor = self.offset_predictor(self.offset_convs(made))
        return heat, offsets * self.stride

    def losses(self, features: Mapping[str, Tensor], truth: CenterTruth) -> dict[str, Tensor]:
        """Squared error of the heat and absolute error of the offsets, enlarged first.

        Args:
            features: as for `forward`.
            truth: of the same images.
        Returns:
            "centers" and "offsets": sums over all pixels divided by the sum of the weights.
        Empty: without weights the losses are 0, with gradients of 0.
        """
        height, width = truth.heat.shape[-2:]
        heat, offsets = (enlarge(one, self.stride)[..., :height, :width] for one in self(features))
        squares = (heat[:, 0] - truth.heat).square() * truth.heat_weights
        lengths = (offsets - truth.offsets).abs().sum(1) * truth.offset_weights
        return {
            "centers": self.heat_weight * _mean(squares, truth.heat_weights),
            "offsets": self.offset_weight * _mean(lengths, truth.offset_weights),
        }


def _mean(losses: Tensor, weights: Tensor) -> Tensor:
    return losses.sum() / weights.sum().clamp(min=1.0)
