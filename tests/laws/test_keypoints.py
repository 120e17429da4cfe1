"""Laws of keypoints, on every device."""

import hypothesis.strategies as st
import torch
from hypothesis import given

from geodet import ImageSize, ops
from geodet import testing as gt

SIZE = ImageSize(20, 24)


@given(data=st.data())
def test_mirrors_swap_sides_and_unlabelled_points_stay(device, data):
    """Two mirrors are none, names follow the body, and points without label never move."""
    gt.assert_keypoint_laws(data.draw(gt.keypoints(image_size=SIZE, device=device)), SIZE)


@given(data=st.data())
def test_similarity_is_a_share_and_moves_along(device, data):
    """OKS lies in [0, 1], is 1 for points with themselves, and only distances count."""
    skeleton = data.draw(gt.skeletons())
    options = {"skeleton": skeleton, "image_size": SIZE, "device": device, "max_rows": 4}
    predictions, targets = (data.draw(gt.keypoints(**options)) for _ in range(2))
    sigmas = torch.tensor(skeleton.sigmas, device=device)

    def similarity(a, b):
        labelled = b.labelled()[..., None]
        low = torch.where(labelled, b.xyv[..., :2], torch.inf).amin(1)
        high = torch.where(labelled, b.xyv[..., :2], -torch.inf).amax(1)
        boxes = torch.cat((low, high), dim=1).nan_to_num(posinf=0.0, neginf=0.0)
        areas = torch.full((len(b),), 50.0, device=device)
        return ops.object_keypoint_similarity(a.xyv, b.xyv, areas, boxes, sigmas)

    gt.assert_similarity_laws(similarity, predictions, targets, atol=1e-6)
