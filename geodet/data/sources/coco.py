"""Data sets in COCO's JSON format: boxes, masks and keypoints."""

import json
import operator
from pathlib import Path
from typing import Literal, SupportsIndex

import torch

from geodet.data.decode import exif_orientation, read_image
from geodet.data.json_text import read_json_object, take_list
from geodet.data.label_map import LabelMap
from geodet.data.problems import Problem, fail_or_warn
from geodet.data.sample import Sample
from geodet.data.sources._coco_annotations import Context, read_annotations
from geodet.data.sources._coco_images import read_categories, read_images
from geodet.data.sources._coco_keypoints import read_skeleton
from geodet.data.sources._coco_segments import compact_numbers
from geodet.data.text_table import TextTable
from geodet.errors import DataError, DtypeError, ImageDecodeError, InvalidValueError
from geodet.structures import Boxes, ImageSize, Instances, Keypoints, Skeleton

__all__ = ["CocoSource"]


class CocoSource:
    """Images and annotations of one COCO file, checked as a whole when the source is made.

    Everything that can be known without decoding an image is checked at construction: JSON, ids,
    classes, files, sizes, boxes, masks, keypoints. By default any defect is an error that names
    the first entries and their number. What is legal: a UTF-8 byte order mark, UTF-16, whole
    numbers written as 1.0, image ids that are texts, several images of one file, unknown extra
    keys, no "iscrowd", no "area" (then the area of the mask, else of the box), an outline that
    leaves the image in part, boxes that overhang the image by at most 1 px (they are clipped).

    Labels follow ascending category ids. Annotations live in a few flat tensors, which loader
    workers share. Each sample has the columns `boxes` (clipped to the image), `labels`,
    `is_crowd`, `masks` and `keypoints` where asked for, and two extras: "area" (float64, the
    square pixels in the file, which COCO's evaluation sorts sizes by) and "annotation_ids"
    (int64). Masks are `PolygonMasks`, or `RleMasks` for an image where an annotation has run
    lengths. Keypoints gain 0.5: positions instead of pixel numbers.

    Args:
        images_dir: folder that the file names in the annotations start from.
        annotation_file: the JSON file.
        masks: read segmentations. A file without any gives samples with `masks=None`; False
            leaves them unread and unchecked.
        keypoints: read keypoints; the categories, or `skeleton`, tell their names.
        keep_empty: keep images without annotations (crowd regions do not count as any).
        keep_crowd: keep crowd regions. False for training, where they are no targets: polygons
            then stay polygons in images that also have a crowd region in run lengths.
        on_bad: "error" raises on defects; "skip" leaves broken images and annotations out, warns
            once, and keeps the reasons in `problems`. The file itself must be sound in both.
        skeleton: use this one instead of what the categories say.
        apply_exif: turn images upright as their EXIF orientation says. False for annotations
            that were drawn on the pixels as stored.
        box_dtype: float64 keeps the digits of the file, for evaluation.
        check_files: see at construction that every image file exists.
    Raises:
        DataError: the file or some of its entries are broken.
    Empty: a file that lists no image gives a source of length 0.
    """

    def __init__(
        self,
        images_dir: str | Path,
        annotation_file: str | Path,
        *,
        masks: bool = True,
        keypoints: bool = False,
        keep_empty: bool = True,
        keep_crowd: bool = True,
        on_bad: Literal["error", "skip"] = "error",
        skeleton: Skeleton | None = None,
        apply_exif: bool = True,
        box_dtype: torch.dtype = torch.float32,
        check_files: bool = True,
    ) -> None:
        if on_bad not in ("error", "skip"):
            raise InvalidValueError(f'on_bad: expected "error" or "skip", got {on_bad!r}')
        if box_dtype not in (torch.float32, torch.float64):
            raise DtypeError(f"box_dtype: expected torch.float32 or torch.float64, got {box_dtype}")
        self.images_dir = Path(images_dir)
        self.annotation_file = path = Path(annotation_file)
        data = read_json_object(path, compact=compact_numbers)
        categories = take_list(data, "categories", path, "it names the classes")
        image_records = take_list(data, "images", path, "it names the image files")
        records = take_list(data, "annotations", path, "write [] for images without any object")
        self._label_map = read_categories(categories, path)
        if keypoints and skeleton is None:
            skeleton = read_skeleton(categories, path)
        self._skeleton = skeleton if keypoints else None
        images = read_images(image_records, self.images_dir, check_files=check_files)
        context = Context(images, self._label_map, masks, self._skeleton)
        self._table, problems = read_annotations(records, context, keep_crowd=keep_crowd)
        self.problems: tuple[Problem, ...] = (*images.problems, *problems)
        fail_or_warn(str(path), self.problems, skip=on_bad == "skip")
        self._file_names = TextTable.from_texts(images.file_names)
        # As JSON texts: ids may be integers of any size, or texts.
        self._image_ids = TextTable.from_texts([json.dumps(one) for one in images.ids])
        self._sizes_hw = torch.tensor(images.sizes_hw, dtype=torch.int32).reshape(-1, 2)
        self._rows = self._kept_images(keep_empty=keep_empty)
        self._apply_exif = apply_exif
        self._box_dtype = box_dtype

    @property
    def label_map(self) -> LabelMap:
        """Names and category ids of the classes, by ascending id."""
        return self._label_map

    @property
    def skeleton(self) -> Skeleton | None:
        """What the keypoints mean; None when they are not read."""
        return self._skeleton

    @property
    def has_masks(self) -> bool:
        """Whether the samples have masks: asked for, and in the file."""
        return self._table.segments is not None

    @property
    def num_annotations(self) -> int:
        """Number of annotations in the samples."""
        rows = self._rows
        return int((self._table.first[rows + 1] - self._table.first[rows]).sum())

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._rows)

    def __repr__(self) -> str:
        """Return the file and what is in it."""
        return (
            f"CocoSource({str(self.annotation_file)!r}: {len(self)} images, "
            f"{self.num_annotations} annotations, {len(self._label_map)} classes)"
        )

    def __getitem__(self, index: int) -> Sample:
        """Read one image and its annotations.

        Raises:
            IndexError: there is no such index.
            ImageDecodeError: the file cannot be decoded.
            DataError: the decoded size is not the one in the annotations.
        """
        row = self._row(index)
        path = self.images_dir / self._file_names[row]
        size = self._size(row)
        try:
            image = read_image(path, apply_exif=self._apply_exif)
        except ImageDecodeError as error:
            raise ImageDecodeError(
                f"{error} (image {self.image_id(index)!r} of {self.annotation_file})"
            ) from error
        decoded = ImageSize(height=image.shape[1], width=image.shape[2])
        if decoded != size:
            raise DataError(self._other_size(index, path, decoded, size))
        return Sample(
            image=image,
            instances=self.instances(index),
            image_id=self.image_id(index),
            source=str(path),
            original_size=size,
        )

    def instances(self, index: int) -> Instances:
        """Return the annotations of one image without reading its file.

        Raises:
            IndexError: there is no such index.
        Empty: an image without annotations has 0 rows in every column.
        """
        row = self._row(index)
        table, size = self._table, self._size(row)
        begin, end = table.first[row : row + 2].tolist()
        masks = None
        if table.segments is not None:
            masks = table.segments.masks(begin, end, size)
        keypoints = None
        if table.keypoints_xyv is not None and self._skeleton is not None:
            xyv = table.keypoints_xyv[begin:end].to(torch.float32)
            keypoints = Keypoints(xyv.clone(), self._skeleton)
        return Instances(
            size,
            boxes=Boxes(table.boxes_xyxy[begin:end].to(self._box_dtype, copy=True)),
            labels=table.labels[begin:end].clone(),
            masks=masks,
            keypoints=keypoints,
            is_crowd=table.is_crowd[begin:end].clone(),
            extras={
                "area": table.areas[begin:end].clone(),
                "annotation_ids": table.ids[begin:end].clone(),
            },
        ).validated(num_classes=len(self._label_map), where=self.describe(index))

    def image_id(self, index: int) -> int | str:
        """Return the id of the image at `index`.

        Raises:
            IndexError: there is no such index.
        """
        image_id: int | str = json.loads(self._image_ids[self._row(index)])
        return image_id

    def image_sizes(self) -> list[ImageSize]:
        """Sizes of all images, as the annotations state them."""
        return [ImageSize(*size) for size in self._sizes_hw[self._rows].tolist()]

    def describe(self, index: int) -> str:
        """Name the image at `index` by its file and id."""
        path = self.images_dir / self._file_names[self._row(index)]
        return f"{path} (image {self.image_id(index)!r})"

    def _row(self, index: SupportsIndex) -> int:
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"index {position} is out of range for {len(self)} images")
        return int(self._rows[position])

    def _size(self, row: int) -> ImageSize:
        return ImageSize(*self._sizes_hw[row].tolist())

    def _kept_images(self, *, keep_empty: bool) -> torch.Tensor:
        rows = torch.arange(len(self._sizes_hw))
        if keep_empty:
            return rows
        # Prefix sums: how many annotations that are no crowd lie before each image.
        objects = torch.cat([torch.zeros(1, dtype=torch.int64), (~self._table.is_crowd).cumsum(0)])
        before = objects[self._table.first]
        return rows[before[1:] > before[:-1]]

    def _other_size(self, index: int, path: Path, decoded: ImageSize, stated: ImageSize) -> str:
        text = (
            f"{path} (image {self.image_id(index)!r} of {self.annotation_file}): expected "
            f"{stated.width} x {stated.height} pixels as annotated, decoded "
            f"{decoded.width} x {decoded.height}"
        )
        if (decoded.width, decoded.height) != (stated.height, stated.width):
            return f"{text}; the annotations belong to another version of the image"
        orientation = exif_orientation(path)
        if self._apply_exif and orientation >= 5:
            return (
                f"{text}. EXIF orientation {orientation} turns the stored pixels: the annotations "
                f"seem to refer to them unturned. Pass apply_exif=False "
                f"(--set data.apply_exif=false on the command line), or annotate upright images"
            )
        if not self._apply_exif and orientation >= 5:
            return f"{text}. EXIF orientation {orientation} is not applied: pass apply_exif=True"
        return f"{text}; width and height are swapped in the annotations"
