"""Boxes, masks, keypoints and tables of them: frozen types checked when they are made."""

from geodet.structures.bit_masks import BitMasks
from geodet.structures.boxes import Boxes
from geodet.structures.image_list import ImageList
from geodet.structures.image_size import ImageSize
from geodet.structures.instances import Instances
from geodet.structures.keypoints import Keypoints
from geodet.structures.masks import HardMasks, Masks
from geodet.structures.panoptic import PanopticSegmentation, Segment
from geodet.structures.polygon_masks import PolygonMasks
from geodet.structures.region import Region
from geodet.structures.rle_masks import RleMasks
from geodet.structures.roi_masks import RoiMasks
from geodet.structures.rotated_boxes import RotatedBoxes
from geodet.structures.scene import SceneLabels, SceneMerging, ScenePrediction, SceneTarget
from geodet.structures.semantic import SemanticMap, SemanticScores
from geodet.structures.skeleton import Skeleton

__all__ = [
    "BitMasks",
    "Boxes",
    "HardMasks",
    "ImageList",
    "ImageSize",
    "Instances",
    "Keypoints",
    "Masks",
    "PanopticSegmentation",
    "PolygonMasks",
    "Region",
    "RleMasks",
    "RoiMasks",
    "RotatedBoxes",
    "SceneLabels",
    "SceneMerging",
    "ScenePrediction",
    "SceneTarget",
    "Segment",
    "SemanticMap",
    "SemanticScores",
    "Skeleton",
]
