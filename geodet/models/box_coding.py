"""Boxes as offsets from reference boxes: what regression branches predict."""

import math

import attrs
import torch
from torch import Tensor

__all__ = ["BoxCoder"]


@attrs.frozen
class BoxCoder:
    """Shift of the centre relative to the size, and log of the growth of the size.

    Args:
        weights: scale of (dx, dy, dw, dh); larger ones make the same error cost more.
        max_log_scale: a box grows at most by exp of this in one decoding.
    Reference: Girshick et al. 2014 (arXiv 1311.2524), appendix C.
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    max_log_scale: float = math.log(1000.0 / 16.0)

    def encode(self, references: Tensor, boxes: Tensor) -> Tensor:
        """Offsets that `decode` turns back into `boxes`.

        Args:
            references: [n, 4] xyxy of positive width and height.
            boxes: [n, 4] xyxy of positive width and height.
        Returns:
            [n, 4] dx, dy, dw, dh. Empty sides give infinite or NaN offsets.
        Empty: n = 0 gives [0, 4].
        """
        x, y, width, height = _centred(references)
        to_x, to_y, to_width, to_height = _centred(boxes)
        wx, wy, ww, wh = self.weights
        return torch.stack(
            [
                wx * (to_x - x) / width,
                wy * (to_y - y) / height,
                ww * torch.log(to_width / width),
                wh * torch.log(to_height / height),
            ],
            dim=-1,
        )

    def decode(self, references: Tensor, deltas: Tensor) -> Tensor:
        """Boxes that `deltas` lead to, in float32 whatever the network computes in.

        Args:
            references: [..., 4] xyxy.
            deltas: [..., 4] or, for k boxes per reference, [..., k * 4].
        Returns:
            The shape of `deltas`: xyxy, not clipped; NaN and infinite offsets stay so.
        Empty: no references give no boxes.
        """
        shape = deltas.shape
        deltas = deltas.float().reshape(*shape[:-1], shape[-1] // 4, 4)
        x, y, width, height = (side[..., None] for side in _centred(references.float()))
        wx, wy, ww, wh = self.weights
        centre_x = deltas[..., 0] / wx * width + x
        centre_y = deltas[..., 1] / wy * height + y
        # The clamp keeps exp() of an untrained branch finite.
        new_width = torch.exp((deltas[..., 2] / ww).clamp(max=self.max_log_scale)) * width
        new_height = torch.exp((deltas[..., 3] / wh).clamp(max=self.max_log_scale)) * height
        boxes = torch.stack(
            [
                centre_x - 0.5 * new_width,
                centre_y - 0.5 * new_height,
                centre_x + 0.5 * new_width,
                centre_y + 0.5 * new_height,
            ],
            dim=-1,
        )
        return boxes.reshape(shape)


def _centred(xyxy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = xyxy.unbind(-1)
    width, height = x2 - x1, y2 - y1
    return x1 + 0.5 * width, y1 + 0.5 * height, width, height
