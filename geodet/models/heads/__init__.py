"""Heads: feature maps to proposals, boxes and masks. Tensors in, tensors out."""

from geodet.models.heads.box import BoxHead, BoxPredictor
from geodet.models.heads.box_features import BoxFeatures, ConvFcFeatures, StageFeatures
from geodet.models.heads.cascade import CascadeBoxHead
from geodet.models.heads.centers import CenterHead
from geodet.models.heads.deeplab import DeepLabDecoder, DeepLabV3Head, DeepLabV3PlusHead
from geodet.models.heads.dense import FCOSHead, RetinaNetHead
from geodet.models.heads.dense_selection import DenseSelector
from geodet.models.heads.given_proposals import GivenProposals
from geodet.models.heads.keypoint import KeypointHead
from geodet.models.heads.mask import MaskHead
from geodet.models.heads.mask_targets import mask_targets
from geodet.models.heads.point_head import PointHead
from geodet.models.heads.point_rend import CoarseMaskHead, PointRendMaskHead
from geodet.models.heads.point_sampling import PointPooler
from geodet.models.heads.pooler import RegionPooler, RoiPooler, assign_levels
from geodet.models.heads.region_head import RegionHead, Regions
from geodet.models.heads.roi_sampling import RoiSampler, SampledRois, rois_from_boxes
from geodet.models.heads.rpn import RPN, ProposalBudget, RPNHead, RPNOutput
from geodet.models.heads.semantic import SemanticHead
from geodet.models.heads.semantic_fpn import SemanticFPNHead
from geodet.models.heads.semantic_point_rend import PointRendSemanticHead
from geodet.models.heads.stages import (
    BoxDetections,
    FirstStage,
    Proposals,
    SecondStage,
    TrainedBoxes,
    TrainedProposals,
)

__all__ = [
    "RPN",
    "BoxDetections",
    "BoxFeatures",
    "BoxHead",
    "BoxPredictor",
    "CascadeBoxHead",
    "CenterHead",
    "CoarseMaskHead",
    "ConvFcFeatures",
    "DeepLabDecoder",
    "DeepLabV3Head",
    "DeepLabV3PlusHead",
    "DenseSelector",
    "FCOSHead",
    "FirstStage",
    "GivenProposals",
    "KeypointHead",
    "MaskHead",
    "PointHead",
    "PointPooler",
    "PointRendMaskHead",
    "PointRendSemanticHead",
    "ProposalBudget",
    "Proposals",
    "RPNHead",
    "RPNOutput",
    "RegionHead",
    "RegionPooler",
    "Regions",
    "RetinaNetHead",
    "RoiPooler",
    "RoiSampler",
    "SampledRois",
    "SecondStage",
    "SemanticFPNHead",
    "SemanticHead",
    "StageFeatures",
    "TrainedBoxes",
    "TrainedProposals",
    "assign_levels",
    "mask_targets",
    "rois_from_boxes",
]
