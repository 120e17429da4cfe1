"""For your tests: Hypothesis strategies that draw structures, and laws that structures obey."""

from importlib.util import find_spec

from geodet.errors import MissingDependencyError

if find_spec("hypothesis") is None:
    raise MissingDependencyError(
        "geodet.testing: expected the package hypothesis; pip install 'geodet[testing]'"
    )

from geodet.testing.laws import (
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
    skeletons,
)

__all__ = [
    "assert_cat_of_slices_is_identity",
    "assert_indexing_composes",
    "assert_pickle_round_trips",
    "assert_pytree_round_trips",
    "assert_selections_agree",
    "assert_structure_laws",
    "assert_table_laws",
    "assert_to_round_trips",
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
    "skeletons",
]
