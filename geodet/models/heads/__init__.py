"""Heads: feature maps to proposals, boxes and masks. Tensors in, tensors out."""

from geodet.models.heads.box import BoxDetections, BoxFeatures, BoxHead, BoxPredictor
from geodet.models.heads.mask import MaskHead
from geodet.models.heads.pooler import RoiPooler, assign_levels
from geodet.models.heads.roi_sampling import RoiSampler, SampledRois, rois_from_boxes
from geodet.models.heads.rpn import RPN, ProposalBudget, Proposals, RPNHead, RPNOutput

__all__ = [
    "RPN",
    "BoxDetections",
    "BoxFeatures",
    "BoxHead",
    "BoxPredictor",
    "MaskHead",
    "ProposalBudget",
    "Proposals",
    "RPNHead",
    "RPNOutput",
    "RoiPooler",
    "RoiSampler",
    "SampledRois",
    "assign_levels",
    "rois_from_boxes",
]
