"""Laws of keypoints, on every device."""

import hypothesis.strategies as st
from hypothesis import given

from geodet import ImageSize
from geodet import testing as gt

SIZE = ImageSize(20, 24)


@given(data=st.data())
def test_mirrors_swap_sides_and_unlabelled_points_stay(device, data):
    """Two mirrors are none, names follow the body, and points without label never move."""
    gt.assert_keypoint_laws(data.draw(gt.keypoints(image_size=SIZE, device=device)), SIZE)
