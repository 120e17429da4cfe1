"""Images of different sizes in one padded tensor. Shapes: b images, c channels, H x W padded."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Self, overload

import attrs
import torch
from torch import Tensor

from geodet import _check
from geodet.errors import DeviceError, DtypeError, InvalidValueError, ShapeError
from geodet.structures._table import Index, Structure, normalise_index, register
from geodet.structures.image_size import ImageSize


def _sizes(value: Iterable[ImageSize]) -> tuple[ImageSize, ...]:
    return tuple(value)


@register
@attrs.frozen(eq=False, repr=False)
class ImageList(Structure):
    """A batch of images padded at the right and at the bottom, with their true sizes.

    Args:
        tensor: [b, c, H, W] any dtype.
        sizes: one ImageSize per image, none larger than H x W.
    Raises:
        DtypeError: a value has another type.
        ShapeError: not [b, c, H, W], another number of sizes, or an image larger than the batch.
    """

    tensor: Tensor
    sizes: tuple[ImageSize, ...] = attrs.field(converter=_sizes)

    def __attrs_post_init__(self) -> None:
        _check.check_shape("tensor", self.tensor, "b", "c", "H", "W")
        _check.check_rows("sizes", len(self.sizes), len(self.tensor), "one for each image")
        height, width = self.tensor.shape[2:]
        for position, size in enumerate(self.sizes):
            if not isinstance(size, ImageSize):
                raise DtypeError(f"sizes[{position}]: expected ImageSize, got {size!r}")
            if size.height > height or size.width > width:
                raise ShapeError(
                    f"sizes[{position}]: expected at most {height} x {width} (the padded batch), "
                    f"got {size.height} x {size.width}"
                )

    @classmethod
    def empty(
        cls,
        *,
        channels: int = 3,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "ImageList":
        """Return a batch of 0 images."""
        return cls(torch.zeros((0, channels, 0, 0), device=device, dtype=dtype), ())

    @classmethod
    def from_images(
        cls,
        images: Sequence[Tensor],
        *,
        size_divisor: int = 1,
        pad_value: float = 0.0,
        square: bool = False,
        min_size: ImageSize | None = None,
    ) -> "ImageList":
        """Pad images to one common size.

        Args:
            images: at least one [c, h, w] tensor; channels, dtype and device must agree.
            size_divisor: H and W become multiples of it.
            pad_value: what the padding holds.
            square: make H and W equal.
            min_size: make H and W at least this large, so that batches of smaller images all have
                one size (as compiled models want it).
        Returns:
            [b, c, H, W], each image at the top left.
        Raises:
            ShapeError: no image, a wrong rank, an image without pixels, or mixed channel counts.
            DtypeError, DeviceError: images differ in dtype or device.
            InvalidValueError: `size_divisor` is smaller than 1.
        """
        if size_divisor < 1:
            raise InvalidValueError(f"size_divisor: expected at least 1, got {size_divisor}")
        _check_alike(images)
        sizes = tuple(ImageSize(image.shape[1], image.shape[2]) for image in images)
        wanted = sizes if min_size is None else (*sizes, min_size)
        height = max(size.height for size in wanted)
        width = max(size.width for size in wanted)
        if square:
            height = width = max(height, width)
        height, width = (-(-side // size_divisor) * size_divisor for side in (height, width))
        channels = images[0].shape[0]
        tensor = images[0].new_full((len(images), channels, height, width), pad_value)
        for slot, image in zip(tensor, images, strict=True):
            slot[:, : image.shape[1], : image.shape[2]].copy_(image)
        return cls(tensor, sizes)

    @classmethod
    def cat(cls, batches: Sequence["ImageList"], *, pad_value: float = 0.0) -> "ImageList":
        """Join batches; those that are smaller are padded further.

        Args:
            batches: at least one; channels, dtype and device must agree.
            pad_value: what all padding of the result holds.
        Returns:
            All images in order, padded to the largest padded size.
        Raises:
            ShapeError: no batch is given, or channel counts differ.
            DtypeError, DeviceError: batches differ in dtype or device.
        Empty: batches without images count with their padded size.
        """
        if len(batches) == 0:
            raise ShapeError("ImageList.cat: expected at least one batch; use ImageList.empty")
        first = batches[0].tensor
        for position, batch in enumerate(batches):
            name = f"batches[{position}]"
            _check_like(name, batch.tensor, "batches[0]", first)
        height, width = (max(batch.tensor.shape[axis] for batch in batches) for axis in (2, 3))
        sizes = [size for batch in batches for size in batch.sizes]
        tensor = first.new_full((len(sizes), first.shape[1], height, width), pad_value)
        images = (image for batch in batches for image in batch)
        for slot, image in zip(tensor, images, strict=True):
            slot[:, : image.shape[1], : image.shape[2]].copy_(image)
        return cls(tensor, sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> Self: ...

    def __getitem__(self, index: Index) -> "Tensor | Self":
        """Select images.

        Args:
            index: an int gives the [c, h, w] view of one image without its padding; a slice, a
                bool mask [b] or int64 positions give a batch, padded as it was.
        Raises:
            IndexError: an image does not exist.
            ShapeError, DtypeError: the index is none of these.
        """
        if hasattr(index, "__index__") and not isinstance(index, Tensor | bool):
            position = index.__index__()
            if not -len(self) <= position < len(self):
                raise IndexError(f"image {position} is out of range for {len(self)} images")
            height, width = self.sizes[position]
            return self.tensor[position, :, :height, :width]
        rows = normalise_index(index, len(self), self.device)
        positions = torch.arange(len(self))[rows if isinstance(rows, slice) else rows.cpu()]
        return type(self)(self.tensor[rows], [self.sizes[row] for row in positions.tolist()])

    def __iter__(self) -> Iterator[Tensor]:
        """Yield each image without its padding."""
        for index in range(len(self)):
            yield self[index]

    @property
    def padded_size(self) -> ImageSize:
        """Size H x W of the whole batch."""
        return ImageSize(self.tensor.shape[2], self.tensor.shape[3])

    def unpad(self, maps: Tensor | None = None) -> list[Tensor]:
        """Cut the padding off the images, or off maps of theirs such as per-pixel classes.

        Args:
            maps: [b, ..., H, W] aligned with the batch; None for the images themselves.
        Returns:
            b views [..., h, w].
        Raises:
            ShapeError: the maps are not as above.
        """
        maps = self.tensor if maps is None else maps
        wanted = (len(self), *self.padded_size)
        if maps.ndim < 3 or (maps.shape[0], *maps.shape[-2:]) != wanted:
            raise ShapeError(
                f"maps: expected [{wanted[0]}, ..., {wanted[1]}, {wanted[2]}] as the batch has, "
                f"got {list(maps.shape)}"
            )
        return [
            one[..., : size.height, : size.width]
            for one, size in zip(maps, self.sizes, strict=True)
        ]

    def padding_mask(self) -> Tensor:
        """[b, H, W] bool, True at padding."""
        height, width = self.tensor.shape[2:]
        device = self.tensor.device
        sizes = torch.tensor([size.as_tuple() for size in self.sizes]).view(-1, 2).to(device)
        rows = torch.arange(height, device=device)[None] >= sizes[:, :1]
        columns = torch.arange(width, device=device)[None] >= sizes[:, 1:]
        return rows[:, :, None] | columns[:, None, :]


def _check_alike(images: Sequence[Tensor]) -> None:
    """Check that the images can share one tensor; messages name the odd one."""
    if len(images) == 0:
        raise ShapeError("images: expected at least one image, got none")
    for position, image in enumerate(images):
        name = f"images[{position}]"
        _check.check_shape(name, image, "c", "h", "w")
        if 0 in image.shape[1:]:
            raise ShapeError(f"{name}: expected at least one pixel, got {list(image.shape)}")
        _check_like(name, image, "images[0]", images[0])


def _check_like(name: str, tensor: Tensor, first: str, like: Tensor) -> None:
    """Check channels (third from last), dtype and device against another tensor's."""
    if tensor.shape[-3] != like.shape[-3]:
        raise ShapeError(
            f"{name}: expected {like.shape[-3]} channels as {first} has, got {tensor.shape[-3]}; "
            "convert all images to one mode when they are decoded"
        )
    if tensor.dtype != like.dtype:
        raise DtypeError(f"{name}: expected {like.dtype} as {first}, got {tensor.dtype}")
    if tensor.device != like.device:
        raise DeviceError(f"{name} is on {tensor.device}, {first} on {like.device}")
