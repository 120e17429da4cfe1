"""From images as they are stored to the padded, normalised batch that a network takes."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from geodet._check import check_shape
from geodet.errors import CompositionError, DtypeError, InvalidValueError, ShapeError
from geodet.structures import ImageList, ImageSize

__all__ = ["Preprocess"]

# Interpolation may overshoot 0..255; a quarter of the range beyond it is another kind of data.
_LOWEST, _HIGHEST = -64.0, 320.0


class Preprocess(nn.Module):
    """Normalise and pad images; the one place where channel order and pixel range are decided.

    Images are RGB with values 0..255, whatever the network was trained on: a network trained on
    BGR says so here.

    Args:
        channel_order: order that the network takes. "bgr" needs 3 channels.
        mean: subtracted per channel, in `channel_order`, in units of 0..255.
        std: divided by per channel after that.
        size_divisor: the batch is padded to a multiple of this, right and bottom, after
            normalising, so that padding is exactly 0.
        square: pad to a square, as large as the batch needs.
        square_side: pad to a square of this side, whatever the batch; a larger image is an error.
        short_edge: images are to be resized before they come here, so that their shorter side has
            this many pixels; None takes them as they are. Told to whoever reads images; `forward`
            resizes nothing.
        max_long_edge: their longer side stays within this, even if the shorter one gets smaller;
            None for no limit.
    Raises:
        CompositionError: the numbers do not fit each other.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        channel_order: Literal["rgb", "bgr"],
        mean: Sequence[float],
        std: Sequence[float],
        size_divisor: int = 32,
        square: bool = False,
        square_side: int | None = None,
        short_edge: int | None = None,
        max_long_edge: int | None = None,
    ) -> None:
        super().__init__()
        if len(mean) != len(std) or len(mean) == 0:
            raise CompositionError(
                f"Preprocess: mean has {len(mean)} channels, std {len(std)}; give one number of "
                "each per channel"
            )
        if channel_order not in ("rgb", "bgr"):
            raise CompositionError(
                f"Preprocess: expected channel_order 'rgb' or 'bgr', got {channel_order!r}"
            )
        if channel_order == "bgr" and len(mean) != 3:
            raise CompositionError(
                f"Preprocess: channel_order 'bgr' needs 3 channels, mean has {len(mean)}"
            )
        if min(std) <= 0 or size_divisor < 1:
            raise CompositionError(
                f"Preprocess: std must be positive and size_divisor at least 1, got std={std}, "
                f"size_divisor={size_divisor}"
            )
        _check_sizes(size_divisor, square, square_side, short_edge, max_long_edge)
        self.channel_order = channel_order
        self.size_divisor = size_divisor
        self.square = square
        self.square_side = square_side
        self.short_edge = short_edge
        self.max_long_edge = max_long_edge
        # They belong to the description of the model, not to its weights.
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    @property
    def num_channels(self) -> int:
        """Channels of the images it takes."""
        return self.mean.shape[0]

    def forward(self, images: Sequence[Tensor]) -> ImageList:
        """Normalise and pad a batch; images move to the device of this module.

        Args:
            images: [c, h, w] each, RGB, 0..255, uint8 or floating-point.
        Returns:
            The batch [b, c, H, W] with the true sizes.
        Raises:
            DtypeError: an image is neither uint8 nor floating-point; names its position.
            InvalidValueError: values are not finite, look like 0..1, or lie far outside 0..255.
            ShapeError: an image has the wrong rank or channel count, or no pixel, or is larger
                than `square_side`; or there is no image.
        """
        if len(images) == 0:
            raise ShapeError("images: expected at least one image, got none")
        prepared = []
        for position, image in enumerate(images):
            _check_image(f"images[{position}]", image)
            if image.shape[0] != self.num_channels:
                raise ShapeError(
                    f"images[{position}]: expected {self.num_channels} channels, got "
                    f"{image.shape[0]}; decode grey, RGBA and multi-band files on purpose"
                )
            self._check_fits(f"images[{position}]", image)
            values = image.to(device=self.mean.device, dtype=self.mean.dtype)
            if self.channel_order == "bgr":
                values = values.flip(0)
            prepared.append((values - self.mean) / self.std)
        side = self.square_side
        return ImageList.from_images(
            prepared,
            size_divisor=self.size_divisor,
            pad_value=0.0,
            square=self.square,
            min_size=None if side is None else ImageSize(side, side),
        )

    def _check_fits(self, name: str, image: Tensor) -> None:
        side = self.square_side
        if side is None or max(image.shape[-2:]) <= side:
            return
        height, width = image.shape[-2:]
        raise ShapeError(
            f"{name}: expected at most {side} x {side} pixels (square_side={side}), got "
            f"{height} x {width}; resize it first, so that its longer side is at most {side}"
        )

    def extra_repr(self) -> str:
        """Numbers shown by `print(model)`."""
        mean = [round(value, 3) for value in self.mean.flatten().tolist()]
        std = [round(value, 3) for value in self.std.flatten().tolist()]
        return (
            f"{self.channel_order}, mean={mean}, std={std}, size_divisor={self.size_divisor}, "
            f"square={self.square}, square_side={self.square_side}, "
            f"short_edge={self.short_edge}, max_long_edge={self.max_long_edge}"
        )


def _check_sizes(
    size_divisor: int,
    square: bool,
    square_side: int | None,
    short_edge: int | None,
    max_long_edge: int | None,
) -> None:
    """Refuse sizes that contradict each other."""
    given = {"square_side": square_side, "short_edge": short_edge, "max_long_edge": max_long_edge}
    for name, value in given.items():
        if value is not None and value < 1:
            raise CompositionError(f"Preprocess: expected {name} of at least 1, got {value}")
    if max_long_edge is not None and short_edge is None:
        raise CompositionError(
            f"Preprocess: max_long_edge={max_long_edge} limits a resize, but short_edge is None; "
            "give short_edge too"
        )
    if short_edge is not None and max_long_edge is not None and max_long_edge < short_edge:
        raise CompositionError(
            f"Preprocess: expected max_long_edge of at least short_edge={short_edge}, got "
            f"{max_long_edge}"
        )
    if square_side is None:
        return
    if square:
        raise CompositionError(
            f"Preprocess: square pads as far as the batch needs, square_side={square_side} always "
            "to one size; give one of the two"
        )
    if square_side % size_divisor:
        raise CompositionError(
            f"Preprocess: expected square_side to be a multiple of size_divisor={size_divisor}, "
            f"got {square_side}"
        )
    if short_edge is not None and (max_long_edge is None or max_long_edge > square_side):
        raise CompositionError(
            f"Preprocess: images resized to short_edge={short_edge} and "
            f"max_long_edge={max_long_edge} can be larger than square_side={square_side}; give "
            f"max_long_edge={square_side} or less"
        )


def _check_image(name: str, image: Tensor) -> None:
    """Refuse data that is not an image of 0..255; uint8 costs nothing to check."""
    check_shape(name, image, "c", "h", "w")
    if image.numel() == 0:
        raise ShapeError(f"{name}: expected pixels, got an empty image {list(image.shape)}")
    if image.dtype == torch.uint8:
        return
    if not image.dtype.is_floating_point:
        raise DtypeError(
            f"{name}: expected uint8, or floating-point values of 0..255, got {image.dtype}; "
            "scale deeper data to 0..255 on purpose, for 16 bits (image / 257).to(torch.float32)"
        )
    # One transfer for both ends: this is the only wait for a GPU here, and only for float images.
    lowest, highest = torch.stack(torch.aminmax(image)).tolist()
    if not (lowest > -float("inf") and highest < float("inf")):
        raise InvalidValueError(f"{name}: holds NaN or infinite values; clean the data first")
    if 0 < highest <= 1.0 and lowest >= -1.0:
        raise InvalidValueError(
            f"{name}: values of {lowest:g}..{highest:g} look like 0..1, expected 0..255; pass the "
            "uint8 image, or multiply by 255"
        )
    if lowest < _LOWEST or highest > _HIGHEST:
        raise InvalidValueError(
            f"{name}: values of {lowest:g}..{highest:g} lie far outside 0..255; scale them, or "
            "leave out a normalisation done before (Preprocess normalises)"
        )
