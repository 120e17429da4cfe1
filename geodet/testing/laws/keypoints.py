"""Laws of keypoints. Shapes: n instances with k points."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from geodet.structures import ImageSize, Keypoints
from geodet.testing.laws._require import require, require_close
from geodet.testing.laws.structures import assert_twice_is_identity, assert_unchanged_by


def assert_keypoint_laws(keypoints: Keypoints, size: ImageSize) -> None:
    """Check that mirrors swap sides and undo themselves, and that unlabelled points never move.

    Args:
        keypoints: n instances.
        size: image size for the mirrors.
    """
    swapped = list(keypoints.skeleton.flip_indices())
    before, labelled = keypoints.xyv, keypoints.labelled()
    steps: tuple[tuple[str, Callable[[Any], Keypoints]], ...] = (
        ("flip_horizontally", lambda k: k.flip_horizontally(size)),
        ("flip_vertically", lambda k: k.flip_vertically(size)),
        ("scale", lambda k: k.scale(2.0, 0.5)),
        ("translate", lambda k: k.translate(5.0, 7.0)),
    )
    for name, step in steps:
        assert_unchanged_by(keypoints, step)
        after = step(keypoints).xyv
        if name.startswith("flip"):
            assert_twice_is_identity(keypoints, step)
            after = after[:, swapped]  # back to the old names, so that rows can be compared
        require(torch.equal(after[..., 2], before[..., 2]), f"{name} changes v")
        require(
            torch.equal(after[~labelled], before[~labelled]), f"{name} moves an unlabelled point"
        )
    mirrored = keypoints.flip_horizontally(size).xyv[:, swapped]
    x = torch.where(labelled, size.width - before[..., 0], before[..., 0])
    require_close("x of mirrored points", mirrored[..., 0], x, rtol=0, atol=0)
    require(torch.equal(mirrored[..., 1], before[..., 1]), "flip_horizontally changes y")


def assert_similarity_laws(
    similarity: Callable[[Keypoints, Keypoints], Tensor],
    predictions: Keypoints,
    targets: Keypoints,
    *,
    atol: float = 1e-6,
) -> None:
    """Check that a similarity of keypoints lies in [0, 1], is 1 for equal ones, and moves along.

    Args:
        similarity: takes n predictions and m targets, gives [n, m].
        predictions: n instances.
        targets: m instances; those without a labelled point are left out of all but the bounds.
        atol: tolerance.
    """
    found = similarity(predictions, targets)
    require(list(found.shape) == [len(predictions), len(targets)], f"shape {list(found.shape)}")
    require(bool(((found >= 0) & (found <= 1)).all()), f"outside [0, 1]: {found.tolist()}")
    counted = targets.labelled().any(1)
    own = similarity(targets, targets).diagonal()[counted]
    require_close("similarity with itself", own, torch.ones_like(own), rtol=0, atol=atol)
    moved = similarity(predictions.translate(8.0, -4.0), targets.translate(8.0, -4.0))
    seen = predictions.labelled().all(1)  # points that no method moves stay behind
    before, after = found[seen][:, counted], moved[seen][:, counted]
    require_close("similarity after moving", after, before, rtol=0, atol=atol)
