"""Detectors: images to Instances. The only place where tensors become Instances."""

from geodet.models.detectors.cascade_families import (
    cascade_mask_rcnn_fpn,
    cascade_rcnn_fpn,
    fpn_cascade_head,
)
from geodet.models.detectors.center_grouping import CenterGrouping
from geodet.models.detectors.center_targets import CenterTargets
from geodet.models.detectors.deeplab_families import (
    deeplab_decoder,
    deeplab_preprocess,
    deeplab_resnet,
    deeplab_v3,
    deeplab_v3_plus,
    panoptic_deeplab,
)
from geodet.models.detectors.dense_families import (
    fcos_fpn,
    resnet_fpn_p3_to_p7,
    retinanet_fpn,
    rotated_retinanet_fpn,
)
from geodet.models.detectors.families import faster_rcnn_fpn, mask_rcnn_fpn
from geodet.models.detectors.fcos import FCOS
from geodet.models.detectors.fpn_parts import (
    caffe_preprocess,
    fpn_box_head,
    fpn_mask_head,
    fpn_rpn,
    resnet_fpn,
)
from geodet.models.detectors.given import instances_from_proposals, proposals_from_instances
from geodet.models.detectors.keypoint_families import fpn_keypoint_head, keypoint_rcnn_fpn
from geodet.models.detectors.one_map_families import (
    faster_rcnn_c4,
    faster_rcnn_dc5,
    mask_rcnn_c4,
    mask_rcnn_dc5,
)
from geodet.models.detectors.one_map_parts import (
    c4_box_features,
    c4_mask_head,
    dc5_mask_head,
    one_map_box_head,
    one_map_pooler,
    one_map_preprocess,
    one_map_rpn,
    resnet_c4,
    resnet_dc5,
)
from geodet.models.detectors.panoptic_deeplab import PanopticDeepLab
from geodet.models.detectors.panoptic_fpn import PanopticFPN
from geodet.models.detectors.panoptic_merging import PanopticMerging
from geodet.models.detectors.point_rend_families import (
    fpn_point_rend_head,
    point_rend_mask_rcnn_fpn,
    point_rend_semantic_fpn,
)
from geodet.models.detectors.proposal_families import fast_rcnn_fpn, rpn_fpn
from geodet.models.detectors.proposal_network import ProposalNetwork
from geodet.models.detectors.pyramid_families import (
    imagenet_preprocess,
    pyramid_cascade_mask_rcnn,
    pyramid_mask_rcnn,
)
from geodet.models.detectors.rcnn import RCNN
from geodet.models.detectors.region_columns import (
    region_losses,
    region_outputs,
    regions_of,
    with_region_columns,
)
from geodet.models.detectors.rescale import rescale_instances, rescale_prediction
from geodet.models.detectors.retinanet import RetinaNet
from geodet.models.detectors.rotated_families import rotated_faster_rcnn_fpn
from geodet.models.detectors.rotated_region_families import (
    rotated_keypoint_rcnn_fpn,
    rotated_mask_rcnn_fpn,
)
from geodet.models.detectors.scene_families import fpn_semantic_head, panoptic_fpn, semantic_fpn
from geodet.models.detectors.semantic_segmentor import SemanticSegmentor
from geodet.models.detectors.targets import Targets, targets_from_instances
from geodet.models.detectors.transformer_pyramids import mvit_fpn, swin_fpn
from geodet.models.detectors.trident import BranchMerger, TridentNet
from geodet.models.detectors.trident_families import tridentnet_c4
from geodet.models.detectors.vitdet import (
    vitdet_cascade_mask_rcnn,
    vitdet_mask_rcnn,
    vitdet_preprocess,
    vitdet_pyramid,
)

__all__ = [
    "FCOS",
    "RCNN",
    "BranchMerger",
    "CenterGrouping",
    "CenterTargets",
    "PanopticDeepLab",
    "PanopticFPN",
    "PanopticMerging",
    "ProposalNetwork",
    "RetinaNet",
    "SemanticSegmentor",
    "Targets",
    "TridentNet",
    "c4_box_features",
    "c4_mask_head",
    "caffe_preprocess",
    "cascade_mask_rcnn_fpn",
    "cascade_rcnn_fpn",
    "dc5_mask_head",
    "deeplab_decoder",
    "deeplab_preprocess",
    "deeplab_resnet",
    "deeplab_v3",
    "deeplab_v3_plus",
    "fast_rcnn_fpn",
    "faster_rcnn_c4",
    "faster_rcnn_dc5",
    "faster_rcnn_fpn",
    "fcos_fpn",
    "fpn_box_head",
    "fpn_cascade_head",
    "fpn_keypoint_head",
    "fpn_mask_head",
    "fpn_point_rend_head",
    "fpn_rpn",
    "fpn_semantic_head",
    "imagenet_preprocess",
    "instances_from_proposals",
    "keypoint_rcnn_fpn",
    "mask_rcnn_c4",
    "mask_rcnn_dc5",
    "mask_rcnn_fpn",
    "mvit_fpn",
    "one_map_box_head",
    "one_map_pooler",
    "one_map_preprocess",
    "one_map_rpn",
    "panoptic_deeplab",
    "panoptic_fpn",
    "point_rend_mask_rcnn_fpn",
    "point_rend_semantic_fpn",
    "proposals_from_instances",
    "pyramid_cascade_mask_rcnn",
    "pyramid_mask_rcnn",
    "region_losses",
    "region_outputs",
    "regions_of",
    "rescale_instances",
    "rescale_prediction",
    "resnet_c4",
    "resnet_dc5",
    "resnet_fpn",
    "resnet_fpn_p3_to_p7",
    "retinanet_fpn",
    "rotated_faster_rcnn_fpn",
    "rotated_keypoint_rcnn_fpn",
    "rotated_mask_rcnn_fpn",
    "rotated_retinanet_fpn",
    "rpn_fpn",
    "semantic_fpn",
    "swin_fpn",
    "targets_from_instances",
    "tridentnet_c4",
    "vitdet_cascade_mask_rcnn",
    "vitdet_mask_rcnn",
    "vitdet_preprocess",
    "vitdet_pyramid",
    "with_region_columns",
]
