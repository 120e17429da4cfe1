"""Operators on tensors: the compiled core as torch sees it.

Each is registered with torch.library (schema, fake, gradient where it means something), runs on
CPU and CUDA with the same comparisons, and has its specification in `geodet.ops.reference`.
"""

from geodet.ops.bit_masks import (
    bit_mask_boundaries,
    bit_mask_components,
    dilate_bit_masks,
    erode_bit_masks,
    pairwise_bit_mask_ioa,
    pairwise_bit_mask_iou,
)
from geodet.ops.box_distance import (
    matched_box_distance,
    matched_rotated_distance,
    pairwise_box_distance,
    pairwise_point_box_distances,
    pairwise_rotated_distance,
)
from geodet.ops.box_fusion import weighted_box_fusion
from geodet.ops.box_overlap import (
    matched_box_ciou,
    matched_box_diou,
    matched_box_giou,
    matched_box_intersection,
    matched_box_ioa,
    matched_box_iou,
    pairwise_box_ciou,
    pairwise_box_diou,
    pairwise_box_giou,
    pairwise_box_intersection,
    pairwise_box_ioa,
    pairwise_box_iou,
)
from geodet.ops.boxes import box_area
from geodet.ops.deform import deform_conv2d
from geodet.ops.hulls import convex_hulls, min_area_rectangles
from geodet.ops.keypoints import (
    decode_keypoint_heatmaps,
    encode_keypoint_heatmap_targets,
    object_keypoint_similarity,
)
from geodet.ops.matching import batched_match_greedily, match_greedily
from geodet.ops.nms import batched_nms, nms
from geodet.ops.paste import (
    paste_mask_probabilities,
    paste_masks,
    paste_masks_to_rle,
    paste_rotated_mask_probabilities,
    paste_rotated_masks,
    paste_rotated_masks_to_rle,
)
from geodet.ops.points import sample_points
from geodet.ops.polygon_fill import polygon_coverage, polygon_roi_targets, polygons_to_bit_masks
from geodet.ops.polygon_shapes import clip_polygons, rings_are_simple, simplify_polygons
from geodet.ops.polygons import polygons_to_rle, ring_areas
from geodet.ops.rle import (
    pairwise_rle_iou,
    rle_area,
    rle_boxes,
    rle_check,
    rle_decode,
    rle_encode,
)
from geodet.ops.rle_algebra import (
    rle_crop,
    rle_flip,
    rle_intersection,
    rle_resize,
    rle_union,
)
from geodet.ops.rle_morphology import (
    Neighbourhood,
    boundary_radius,
    rle_boundary,
    rle_complement,
    rle_dilate,
    rle_erode,
    rle_pad,
)
from geodet.ops.rle_pairs import (
    matched_rle_intersection,
    matched_rle_ioa,
    matched_rle_iou,
    matched_rle_union,
    pairwise_rle_ioa,
    rle_difference,
)
from geodet.ops.rle_shapes import rle_connected_components, rle_contours, rle_rotate_90
from geodet.ops.rle_text import rle_from_strings, rle_to_strings
from geodet.ops.rois import roi_align, roi_align_rotated
from geodet.ops.rotated import (
    matched_rotated_giou,
    matched_rotated_intersection,
    matched_rotated_iou,
    pairwise_rotated_giou,
    pairwise_rotated_intersection,
    pairwise_rotated_iou,
)
from geodet.ops.rotated_clip import clip_rotated_boxes
from geodet.ops.rotated_diou import matched_rotated_diou, pairwise_rotated_diou
from geodet.ops.rotated_nms import batched_rotated_nms, rotated_nms
from geodet.ops.soft_nms import batched_soft_nms, soft_nms

__all__ = [
    "Neighbourhood",
    "batched_match_greedily",
    "batched_nms",
    "batched_rotated_nms",
    "batched_soft_nms",
    "bit_mask_boundaries",
    "bit_mask_components",
    "boundary_radius",
    "box_area",
    "clip_polygons",
    "clip_rotated_boxes",
    "convex_hulls",
    "decode_keypoint_heatmaps",
    "deform_conv2d",
    "dilate_bit_masks",
    "encode_keypoint_heatmap_targets",
    "erode_bit_masks",
    "match_greedily",
    "matched_box_ciou",
    "matched_box_diou",
    "matched_box_distance",
    "matched_box_giou",
    "matched_box_intersection",
    "matched_box_ioa",
    "matched_box_iou",
    "matched_rle_intersection",
    "matched_rle_ioa",
    "matched_rle_iou",
    "matched_rle_union",
    "matched_rotated_diou",
    "matched_rotated_distance",
    "matched_rotated_giou",
    "matched_rotated_intersection",
    "matched_rotated_iou",
    "min_area_rectangles",
    "nms",
    "object_keypoint_similarity",
    "pairwise_bit_mask_ioa",
    "pairwise_bit_mask_iou",
    "pairwise_box_ciou",
    "pairwise_box_diou",
    "pairwise_box_distance",
    "pairwise_box_giou",
    "pairwise_box_intersection",
    "pairwise_box_ioa",
    "pairwise_box_iou",
    "pairwise_point_box_distances",
    "pairwise_rle_ioa",
    "pairwise_rle_iou",
    "pairwise_rotated_diou",
    "pairwise_rotated_distance",
    "pairwise_rotated_giou",
    "pairwise_rotated_intersection",
    "pairwise_rotated_iou",
    "paste_mask_probabilities",
    "paste_masks",
    "paste_masks_to_rle",
    "paste_rotated_mask_probabilities",
    "paste_rotated_masks",
    "paste_rotated_masks_to_rle",
    "polygon_coverage",
    "polygon_roi_targets",
    "polygons_to_bit_masks",
    "polygons_to_rle",
    "ring_areas",
    "rings_are_simple",
    "rle_area",
    "rle_boundary",
    "rle_boxes",
    "rle_check",
    "rle_complement",
    "rle_connected_components",
    "rle_contours",
    "rle_crop",
    "rle_decode",
    "rle_difference",
    "rle_dilate",
    "rle_encode",
    "rle_erode",
    "rle_flip",
    "rle_from_strings",
    "rle_intersection",
    "rle_pad",
    "rle_resize",
    "rle_rotate_90",
    "rle_to_strings",
    "rle_union",
    "roi_align",
    "roi_align_rotated",
    "rotated_nms",
    "sample_points",
    "simplify_polygons",
    "soft_nms",
    "weighted_box_fusion",
]
