"""For your tests: Hypothesis strategies that draw structures, and laws that geometry obeys.

`docs/guides/test-your-own-structures.md` shows how to hold your own types and functions to them.
"""

from importlib.util import find_spec

from geodet.errors import MissingDependencyError

if find_spec("hypothesis") is None:
    raise MissingDependencyError(
        "geodet.testing: expected the package hypothesis; pip install 'geodet[testing]'"
    )

from geodet.testing.laws import (
    assert_area_scales,
    assert_cat_of_slices_is_identity,
    assert_clipping_laws,
    assert_groups_are_independent,
    assert_indexing_composes,
    assert_inverse_takes_back,
    assert_iou_is_unchanged_by,
    assert_iou_laws,
    assert_keypoint_laws,
    assert_mask_iou_is_that_of_pixels,
    assert_mask_laws,
    assert_mask_set_laws,
    assert_matched_is_diagonal,
    assert_pickle_round_trips,
    assert_pixel_mask_laws,
    assert_pytree_round_trips,
    assert_region_laws,
    assert_selections_agree,
    assert_similarity_laws,
    assert_structure_laws,
    assert_suppression_ignores_order,
    assert_suppression_is_unchanged_by,
    assert_suppression_laws,
    assert_table_laws,
    assert_to_round_trips,
    assert_transform_keeps_rows,
    assert_twice_is_identity,
    assert_unchanged_by,
)
from geodet.testing.strategies import (
    bit_masks,
    boxes,
    image_lists,
    image_sizes,
    instances,
    keypoints,
    panoptic_segmentations,
    polygon_masks,
    rle_masks,
    roi_masks,
    rotated_boxes,
    row_indices,
    scores,
    skeletons,
)

__all__ = [
    "assert_area_scales",
    "assert_cat_of_slices_is_identity",
    "assert_clipping_laws",
    "assert_groups_are_independent",
    "assert_indexing_composes",
    "assert_inverse_takes_back",
    "assert_iou_is_unchanged_by",
    "assert_iou_laws",
    "assert_keypoint_laws",
    "assert_mask_iou_is_that_of_pixels",
    "assert_mask_laws",
    "assert_mask_set_laws",
    "assert_matched_is_diagonal",
    "assert_pickle_round_trips",
    "assert_pixel_mask_laws",
    "assert_pytree_round_trips",
    "assert_region_laws",
    "assert_selections_agree",
    "assert_similarity_laws",
    "assert_structure_laws",
    "assert_suppression_ignores_order",
    "assert_suppression_is_unchanged_by",
    "assert_suppression_laws",
    "assert_table_laws",
    "assert_to_round_trips",
    "assert_transform_keeps_rows",
    "assert_twice_is_identity",
    "assert_unchanged_by",
    "bit_masks",
    "boxes",
    "image_lists",
    "image_sizes",
    "instances",
    "keypoints",
    "panoptic_segmentations",
    "polygon_masks",
    "rle_masks",
    "roi_masks",
    "rotated_boxes",
    "row_indices",
    "scores",
    "skeletons",
]
