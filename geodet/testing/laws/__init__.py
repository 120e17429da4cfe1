"""Laws that geometry obeys, as checks that raise AssertionError with what differed.

Give them structures drawn by `geodet.testing` strategies, or your own; where a law is about a
function (an IoU, a suppression), give it yours.
"""

from geodet.testing.laws.keypoints import (
    assert_keypoint_laws,
    assert_similarity_laws,
)
from geodet.testing.laws.masks import (
    assert_mask_iou_is_that_of_pixels,
    assert_mask_laws,
    assert_mask_set_laws,
    assert_pixel_mask_laws,
)
from geodet.testing.laws.regions import (
    assert_area_scales,
    assert_clipping_laws,
    assert_iou_is_unchanged_by,
    assert_iou_laws,
    assert_matched_is_diagonal,
    assert_region_laws,
)
from geodet.testing.laws.semantic import (
    assert_semantic_map_laws,
    assert_semantic_score_laws,
)
from geodet.testing.laws.structures import (
    assert_cat_of_slices_is_identity,
    assert_indexing_composes,
    assert_pickle_round_trips,
    assert_pytree_round_trips,
    assert_selections_agree,
    assert_structure_laws,
    assert_table_laws,
    assert_to_round_trips,
    assert_twice_is_identity,
    assert_unchanged_by,
)
from geodet.testing.laws.suppression import (
    assert_groups_are_independent,
    assert_suppression_ignores_order,
    assert_suppression_is_unchanged_by,
    assert_suppression_laws,
)
from geodet.testing.laws.transforms import (
    assert_inverse_takes_back,
    assert_transform_keeps_rows,
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
    "assert_semantic_map_laws",
    "assert_semantic_score_laws",
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
]
