"""Point head: classes of single points, from fine features and a coarse prediction.

Letters: n regions or images, p points, c classes.
Reference: Kirillov et al. 2019, "PointRend" (arXiv 1912.08193), section 3.3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PointHead"]


class PointHead(nn.Module):
    """The same small network at every point: layers that all see the coarse prediction again.

    Args:
        in_channels: of the fine features.
        num_classes: c, channels of the coarse prediction.
        channels: of each layer.
        class_agnostic: one logit a point instead of one per class.
        coarse_in_each_layer: join the coarse prediction to the input of every layer, not of the
            first alone.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        num_classes: int,
        channels: Sequence[int] = (256, 256, 256),
        class_agnostic: bool = False,
        coarse_in_each_layer: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.class_agnostic = class_agnostic
        self.coarse_in_each_layer = coarse_in_each_layer
        width = in_channels + num_classes
        self.fcs = nn.ModuleList()
        for out_channels in channels:
            fc = nn.Conv1d(width, out_channels, 1)
            nn.init.kaiming_normal_(fc.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(fc.bias)  # type: ignore[arg-type]
            self.fcs.append(fc)
            width = out_channels + (num_classes if coarse_in_each_layer else 0)
        self.predictor = nn.Conv1d(width, 1 if class_agnostic else num_classes, 1)
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)  # type: ignore[arg-type]

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Classify points.

        Args:
            fine: [n, in_channels, p] features at the points.
            coarse: [n, c, p] logits of the coarse prediction there.
        Returns:
            Logits [n, c, p], or [n, 1, p] when class-agnostic.
        Empty: n = 0 or p = 0 gives an empty tensor.
        """
        x = torch.cat((fine, coarse), dim=1)
        for fc in self.fcs:
            x = functional.relu_(fc(x))
            if self.coarse_in_each_layer:
                x = torch.cat((x, coarse), dim=1)
        logits: Tensor = self.predictor(x)
        return logits
