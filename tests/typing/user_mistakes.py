"""Mistakes that `mypy --strict` finds before anything runs; each line names its error."""

import torch

from geodet import Boxes, ImageSize, Instances, Keypoints, PolygonMasks, RotatedBoxes, Skeleton, ops
from geodet.structures import Masks, Region

SIZE = ImageSize(20, 30)
boxes = Boxes(torch.rand(3, 4))
rotated = RotatedBoxes(torch.rand(3, 5))

Boxes([[0, 0, 1, 1]])  # error: arg-type
ImageSize(20, 30, 3)  # error: call-arg
boxes.pairwise_iou(rotated)  # error: arg-type
boxes.xyxy = torch.rand(3, 4)  # error: misc
boxes.flip_horizontally((20, 30))  # error: arg-type
boxes["first"]  # error: index
Boxes.cat([boxes, rotated])  # error: list-item
boxes.theta  # error: attr-defined
upright: Boxes = rotated  # error: assignment
region: Region = Keypoints.empty(Skeleton.coco_person())  # error: assignment
masks: Masks = boxes  # error: assignment
Instances(SIZE, boxes)  # error: call-arg
Instances(SIZE, bboxes=boxes)  # error: call-arg
Instances(SIZE, boxes=boxes).masks.area()  # error: union-attr
PolygonMasks.from_coco([[[1.0, 2.0]]])  # error: call-arg
ops.nms(boxes, torch.rand(3), 0.5)  # error: arg-type
ops.nms(boxes.xyxy, torch.rand(3), "half")  # error: arg-type
count: int = boxes.area()  # error: assignment
