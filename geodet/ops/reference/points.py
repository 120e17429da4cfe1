"""What sampling a feature map at a point means."""

import math

from torch import Tensor

__all__ = ["sample_points"]


def sample_points(features: Tensor, xy: Tensor, spatial_scale: float = 1.0) -> Tensor:
    """Weigh the four cells around each point; cells beyond the map are zero."""
    images, channels, height, width = features.shape
    sampled = features.new_zeros((images, channels, xy.shape[1]))
    for image in range(images):
        for point, (x, y) in enumerate((xy[image] * spatial_scale - 0.5).tolist()):
            left, top = math.floor(x), math.floor(y)
            for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                if 0 <= row < height and 0 <= column < width:
                    weight = (1 - abs(x - column)) * (1 - abs(y - row))
                    sampled[image, :, point] += weight * features[image, :, row, column]
    return sampled
