"""Detectors and the parts they are built of.

Three levels: blocks (`layers`, `backbones`, `necks`, `heads`), families that wire them
(`resnet`, `faster_rcnn_fpn`, `mask_rcnn_fpn`), and named sizes (`geodet.models.zoo`).
"""

from geodet.models.anchors import AnchorGenerator
from geodet.models.assignment import Matcher
from geodet.models.backbones import MViT, ResNet, Swin, ViT, mvit, resnet, resnet_stage, swin, vit
from geodet.models.box_coding import BoxCoder, Coder, RotatedBoxCoder
from geodet.models.box_kinds import ROTATED, UPRIGHT, BoxKind
from geodet.models.detectors import (
    FCOS,
    RCNN,
    PanopticFPN,
    PanopticMerging,
    ProposalNetwork,
    RetinaNet,
    SemanticSegmentor,
    fast_rcnn_fpn,
    faster_rcnn_fpn,
    fcos_fpn,
    mask_rcnn_fpn,
    panoptic_fpn,
    rescale_instances,
    rescale_prediction,
    retinanet_fpn,
    rotated_retinanet_fpn,
    rpn_fpn,
    semantic_fpn,
)
from geodet.models.distance_coding import DistanceCoder
from geodet.models.features import Backbone, FeatureSpec
from geodet.models.heads import (
    RPN,
    BoxHead,
    DenseSelector,
    FCOSHead,
    GivenProposals,
    MaskHead,
    RegionHead,
    RetinaNetHead,
    RoiPooler,
    RPNHead,
    SemanticFPNHead,
    SemanticHead,
)
from geodet.models.layers import FrozenBatchNorm2d, LayerNorm2d, fold_norms, group_norm
from geodet.models.losses import (
    EmaNormaliser,
    FederatedClasses,
    HardPixelMining,
    IouLoss,
    PixelCrossEntropy,
    PixelLoss,
    SigmoidClasses,
    SmoothL1,
    SoftmaxClasses,
)
from geodet.models.necks import FPN, LastLevelMaxPool, LastLevelP6P7, SimpleFeaturePyramid
from geodet.models.point_assignment import CentreMatcher
from geodet.models.preprocess import Preprocess
from geodet.models.pretrained import load_imagenet
from geodet.models.sampling import BalancedSampler, subsample_labels

__all__ = [
    "FCOS",
    "FPN",
    "RCNN",
    "ROTATED",
    "RPN",
    "UPRIGHT",
    "AnchorGenerator",
    "Backbone",
    "BalancedSampler",
    "BoxCoder",
    "BoxHead",
    "BoxKind",
    "CentreMatcher",
    "Coder",
    "DenseSelector",
    "DistanceCoder",
    "EmaNormaliser",
    "FCOSHead",
    "FeatureSpec",
    "FederatedClasses",
    "FrozenBatchNorm2d",
    "GivenProposals",
    "HardPixelMining",
    "IouLoss",
    "LastLevelMaxPool",
    "LastLevelP6P7",
    "LayerNorm2d",
    "MViT",
    "MaskHead",
    "Matcher",
    "PanopticFPN",
    "PanopticMerging",
    "PixelCrossEntropy",
    "PixelLoss",
    "Preprocess",
    "ProposalNetwork",
    "RPNHead",
    "RegionHead",
    "ResNet",
    "RetinaNet",
    "RetinaNetHead",
    "RoiPooler",
    "RotatedBoxCoder",
    "SemanticFPNHead",
    "SemanticHead",
    "SemanticSegmentor",
    "SigmoidClasses",
    "SimpleFeaturePyramid",
    "SmoothL1",
    "SoftmaxClasses",
    "Swin",
    "ViT",
    "fast_rcnn_fpn",
    "faster_rcnn_fpn",
    "fcos_fpn",
    "fold_norms",
    "group_norm",
    "load_imagenet",
    "mask_rcnn_fpn",
    "mvit",
    "panoptic_fpn",
    "rescale_instances",
    "rescale_prediction",
    "resnet",
    "resnet_stage",
    "retinanet_fpn",
    "rotated_retinanet_fpn",
    "rpn_fpn",
    "semantic_fpn",
    "subsample_labels",
    "swin",
    "vit",
]
