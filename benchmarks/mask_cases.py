"""Masks: run lengths, pasting. 100 masks in an image of 800 x 1333."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from box_cases import IMAGE_HW, random_boxes
from polygon_cases import COUNT, blobs, flat_polygons, outlines, same_arrays, same_rles
from pycocotools import mask as coco_mask
from scaled_peer import ScaledPeer
from timing import OURS, Comparison
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from geodet import ops

PASTE_YARDSTICK = "torchvision paste, yardstick"
# Published medians in ms by threads: Detectron2's pasting, the same with pycocotools' encoding, and
# torchvision's pasting beside them.
PUBLISHED_MS = {1: (60.0, 124.0, 389.0), 2: (45.0, 109.0, 260.0)}


def cases() -> Iterator[tuple[str, Callable[[], Comparison]]]:
    """Name and builder of every comparison."""
    yield "RLE encode", _encode
    yield "RLE decode", _decode
    yield "RLE area", _area
    yield "RLE boxes", _boxes
    yield "RLE IoU 100x100", _iou
    yield "RLE to text", _to_text
    yield "RLE from text", _from_text
    yield "paste 28x28", _paste
    yield "paste 28x28 to RLE", _paste_to_rle


def _coco_rles(outlines: list[np.ndarray]) -> list[dict[str, Any]]:
    flat = [outline.ravel().tolist() for outline in outlines]
    return [coco_mask.frPyObjects([polygon], *IMAGE_HW)[0] for polygon in flat]


def _encode() -> Comparison:
    masks = ops.rle_decode(*ops.polygons_to_rle(*flat_polygons(outlines()), IMAGE_HW), IMAGE_HW)
    column_major = np.asfortranarray(masks.numpy().view(np.uint8).transpose(1, 2, 0))

    def theirs() -> object:
        stack = masks.numpy().view(np.uint8).transpose(1, 2, 0)
        return coco_mask.encode(np.asfortranarray(stack))

    return Comparison(
        name="RLE encode",
        ways={
            OURS: lambda: ops.rle_encode(masks),
            "pycocotools": theirs,
            "pycocotools, columns": lambda: coco_mask.encode(column_major),
        },
        agree=same_rles,
    )


def _decode() -> Comparison:
    rles = _coco_rles(outlines())
    ours = ops.rle_from_strings([rle["counts"] for rle in rles])
    return Comparison(
        name="RLE decode",
        ways={
            OURS: lambda: ops.rle_decode(*ours, IMAGE_HW),
            "pycocotools": lambda: np.ascontiguousarray(
                coco_mask.decode(rles).transpose(2, 0, 1)
            ).view(bool),
            "pycocotools, columns": lambda: coco_mask.decode(rles),
        },
        agree=lambda a, b: same_arrays(
            a, b if b.shape == tuple(a.shape) else b.transpose(2, 0, 1).astype(bool)
        ),
    )


def _area() -> Comparison:
    rles = _coco_rles(outlines())
    ours = ops.rle_from_strings([rle["counts"] for rle in rles])
    return Comparison(
        name="RLE area",
        ways={OURS: lambda: ops.rle_area(*ours), "pycocotools": lambda: coco_mask.area(rles)},
        agree=same_arrays,
    )


def _boxes() -> Comparison:
    rles = _coco_rles(outlines())
    ours = ops.rle_from_strings([rle["counts"] for rle in rles])

    def agree(xyxy: Tensor, xywh: np.ndarray) -> bool:
        return same_arrays(torch.cat([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], dim=1), xywh)

    return Comparison(
        name="RLE boxes",
        ways={
            OURS: lambda: ops.rle_boxes(*ours, IMAGE_HW[0]),
            "pycocotools": lambda: coco_mask.toBbox(rles),
        },
        agree=agree,
    )


def _iou() -> Comparison:
    a, b = _coco_rles(outlines()), _coco_rles(blobs(COUNT, IMAGE_HW, 7))
    ours = [ops.rle_from_strings([rle["counts"] for rle in side]) for side in (a, b)]
    crowd = np.zeros(COUNT, np.uint8)
    return Comparison(
        name="RLE IoU 100x100",
        ways={
            OURS: lambda: ops.pairwise_rle_iou(*ours[0], *ours[1], height=IMAGE_HW[0]),
            "pycocotools": lambda: coco_mask.iou(a, b, crowd),
        },
        agree=same_arrays,
    )


def _to_text() -> Comparison:
    rles = _coco_rles(outlines())
    ours = ops.rle_from_strings([rle["counts"] for rle in rles])
    plain = [
        {"size": list(IMAGE_HW), "counts": part.tolist()}
        for part in torch.tensor_split(ours[0], ours[1][1:-1])
    ]
    return Comparison(
        name="RLE to text",
        ways={
            OURS: lambda: ops.rle_to_strings(*ours),
            "pycocotools": lambda: coco_mask.frPyObjects(plain, *IMAGE_HW),
        },
        agree=lambda a, b: a == [row["counts"] for row in b],
    )


def _from_text() -> Comparison:
    """Parsing alone; pycocotools has no such call, its area parses and then adds up."""
    texts = [rle["counts"] for rle in _coco_rles(outlines())]
    rles = [{"size": list(IMAGE_HW), "counts": text} for text in texts]
    return Comparison(
        name="RLE from text, area",
        ways={
            OURS: lambda: ops.rle_area(*ops.rle_from_strings(texts)),
            "pycocotools": lambda: coco_mask.area(rles),
        },
        agree=same_arrays,
    )


def _soft_masks() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(8)
    return torch.rand(COUNT, 28, 28, generator=rng), random_boxes(COUNT, 8)


def grid_sample_paste(masks: Tensor, boxes: Tensor) -> Tensor:
    """Pasting by torch's grid_sample at pixel centres: the textbook way, all masks at once."""
    height, width = IMAGE_HW
    x = (torch.arange(width) + 0.5 - boxes[:, :1]) / (boxes[:, 2:3] - boxes[:, :1]) * 2 - 1
    y = (torch.arange(height) + 0.5 - boxes[:, 1:2]) / (boxes[:, 3:] - boxes[:, 1:2]) * 2 - 1
    shape = (len(boxes), height, width)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=3)
    sampled = torch.nn.functional.grid_sample(masks[:, None], grid, align_corners=False)
    return sampled[:, 0] >= 0.5


def torchvisions_paste(masks: Tensor, boxes: Tensor) -> Tensor:
    """Pasting by torchvision, which rounds boxes to whole pixels."""
    return paste_masks_in_image(masks[:, None], boxes, IMAGE_HW)[:, 0] >= 0.5


def _detectron2(*, to_rle: bool) -> tuple[ScaledPeer, ...]:
    dense, encoded, yardstick = PUBLISHED_MS[min(torch.get_num_threads(), 2)]
    return (
        ScaledPeer(
            name="Detectron2, scaled",
            reference_ms=encoded if to_rle else dense,
            yardstick=PASTE_YARDSTICK,
            yardstick_reference_ms=yardstick,
        ),
    )


def _few_differ(ours: object, theirs: object) -> bool:
    """Equal but for pixels whose probability is 0.5 up to rounding."""
    return float((ours != theirs).sum()) <= 1e-5 * ours.numel()


def _paste() -> Comparison:
    soft, boxes = _soft_masks()
    return Comparison(
        name="paste 28x28",
        ways={
            OURS: lambda: ops.paste_masks(soft, boxes, IMAGE_HW),
            "torch grid_sample": lambda: grid_sample_paste(soft, boxes),
            "torchvision": lambda: torchvisions_paste(soft, boxes),
            PASTE_YARDSTICK: lambda: torchvisions_paste(soft, boxes),
        },
        agree=_few_differ,
        other_answer=frozenset({"torchvision"}),
        scaled=_detectron2(to_rle=False),
    )


def _encoded(masks: Tensor) -> Any:
    """pycocotools' run lengths of dense masks [n, h, w]."""
    columns = masks.numpy().view(np.uint8).transpose(1, 2, 0)
    return coco_mask.encode(np.asfortranarray(columns))


def _paste_to_rle() -> Comparison:
    soft, boxes = _soft_masks()

    def theirs() -> object:
        return _encoded(grid_sample_paste(soft, boxes))

    def torchvisions() -> object:
        return _encoded(torchvisions_paste(soft, boxes))

    return Comparison(
        name="paste 28x28 to RLE",
        ways={
            OURS: lambda: ops.paste_masks_to_rle(soft, boxes, IMAGE_HW),
            "grid_sample, pycocotools": theirs,
            "torchvision, pycocotools": torchvisions,
            PASTE_YARDSTICK: lambda: torchvisions_paste(soft, boxes),
        },
        # Areas, since single pixels may differ by rounding.
        agree=lambda a, b: bool(
            (abs(ops.rle_area(*a).numpy() - coco_mask.area(b).astype(np.int64)) <= 2).all()
        ),
        other_answer=frozenset({"torchvision, pycocotools"}),
        scaled=_detectron2(to_rle=True),
    )
