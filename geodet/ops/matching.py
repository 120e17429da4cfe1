"""COCO's greedy matching: which prediction meets which target.

Predictions take their turn in order, best score first. Each takes the target of highest similarity
that is still free and reaches the threshold; targets that count go before ignored ones, and among
equals the later one wins. A target serves one prediction, a crowd any number.
Letters in shapes: n predictions, m targets, t thresholds, a settings, g groups.
"""

# ruff: noqa: PLR0917 - torch passes the arguments of registered operators by position
import torch
from torch import Tensor

from geodet import _check
from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register

__all__ = ["batched_match_greedily", "match_greedily"]

# COCO's tool lowers a threshold of 1 by this much, so that a similarity of 1 - 1e-16 counts.
_HIGHEST_THRESHOLD = 1 - 1e-10


def match_greedily(
    similarities: Tensor,
    thresholds: Tensor,
    *,
    ignored: Tensor | None = None,
    crowd: Tensor | None = None,
) -> Tensor:
    """Row of the target that each prediction of one image meets, at every threshold.

    Not differentiable. Equal to pycocotools' `evaluateImg`, save that targets are known by row:
    its annotation id 0 means "no match", which has no counterpart here.

    Args:
        similarities: [n, m] float, such as IoU or keypoint similarity, predictions by descending
            score; compared in float64; NaN never matches.
        thresholds: [t] float, same device, in any order; a pair matches at similarity >=
            threshold. One above 1 - 1e-10 counts as that, as in pycocotools.
        ignored: [m] bool, targets that are taken only when no other is left; None for none.
        crowd: [m] bool, targets that serve any number of predictions; None for none.
    Returns:
        [t, n] int64 rows of targets, -1 where a prediction meets none.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or t = 0 gives an empty tensor of that shape; m = 0 gives -1.
    Reference: Lin et al. 2014, "Microsoft COCO", and pycocotools.
    """
    _check.check_floating(
        "similarities", _check.check_shape("similarities", similarities, "n", "m")
    )
    rows, columns = similarities.shape
    if ignored is not None:
        _check.check_shape("ignored", ignored, columns)
    matches = _checked_match(
        similarities.reshape(-1),
        torch.tensor([0, rows], device=similarities.device),
        torch.tensor([0, columns], device=similarities.device),
        thresholds,
        ignored=None if ignored is None else ignored[None],
        crowd=crowd,
        sizes=(rows, columns),
    )
    return matches[0]


def batched_match_greedily(
    similarities: Tensor,
    pred_offsets: Tensor,
    target_offsets: Tensor,
    thresholds: Tensor,
    *,
    ignored: Tensor | None = None,
    crowd: Tensor | None = None,
) -> Tensor:
    """The same for many groups (images, or classes of images) and settings at once.

    Args:
        similarities: [s] float: for each group the rows of its [predictions, targets] matrix, one
            group after another.
        pred_offsets: [g + 1] int64, where the predictions of each group begin, from 0 to n. The
            last number is read, which waits for a GPU.
        target_offsets: [g + 1] int64, the same for targets, from 0 to m.
        thresholds: [t] float, as in `match_greedily`.
        ignored: [a, m] bool, one row for each setting (COCO's area ranges); None is one setting
            that ignores none.
        crowd: [m] bool; None for none.
    Returns:
        [a, t, n] int64 rows of targets, counted over all groups, or -1.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: offsets do not rise from 0, or their blocks do not fill `similarities`
            (checked on the CPU alone: on CUDA that would mean to wait for the device).
    Empty: g = 0 gives [a, t, 0].
    """
    _check.check_floating("similarities", _check.check_shape("similarities", similarities, "s"))
    _check.check_dtype(
        "pred_offsets", _check.check_shape("pred_offsets", pred_offsets, "g + 1"), torch.int64
    )
    _check.check_dtype(
        "target_offsets",
        _check.check_shape("target_offsets", target_offsets, len(pred_offsets)),
        torch.int64,
    )
    names = ("similarities", "pred_offsets", "target_offsets")
    _check.check_same_device(names, (similarities, pred_offsets, target_offsets))
    if len(pred_offsets) == 0:
        raise InvalidValueError("pred_offsets: expected at least one number, [0] for no group")
    return _checked_match(
        similarities,
        pred_offsets,
        target_offsets,
        thresholds,
        ignored=ignored,
        crowd=crowd,
        sizes=(int(pred_offsets[-1]), _num_targets(target_offsets, ignored, crowd)),
    )


def _num_targets(target_offsets: Tensor, ignored: Tensor | None, crowd: Tensor | None) -> int:
    """Read off a column where there is one: numbers inside tensors are unknown to a compiler."""
    if crowd is not None:
        return _check.check_shape("crowd", crowd, "m").shape[0]
    if ignored is not None:
        return _check.check_shape("ignored", ignored, "a", "m").shape[1]
    return int(target_offsets[-1])


def _checked_match(
    similarities: Tensor,
    pred_offsets: Tensor,
    target_offsets: Tensor,
    thresholds: Tensor,
    *,
    ignored: Tensor | None,
    crowd: Tensor | None,
    sizes: tuple[int, int],
) -> Tensor:
    predictions, targets = sizes
    _check.check_floating("thresholds", _check.check_shape("thresholds", thresholds, "t"))
    device = similarities.device
    # A compiler knows no number here to compare; the kernel checks the offsets again.
    if not torch.compiler.is_compiling() and (predictions < 0 or targets < 0):
        raise _misfit(predictions, targets, similarities.shape[0])
    if ignored is None:
        ignored = torch.zeros((1, targets), dtype=torch.bool, device=device)
    else:
        _check.check_shape("ignored", ignored, "a", targets)
    if crowd is None:
        crowd = torch.zeros(targets, dtype=torch.bool, device=device)
    else:
        _check.check_shape("crowd", crowd, targets)
    _check.check_dtype("ignored", ignored, torch.bool)
    _check.check_dtype("crowd", crowd, torch.bool)
    names = ("similarities", "ignored", "crowd", "thresholds")
    _check.check_same_device(names, (similarities, ignored, crowd, thresholds))
    limits = thresholds.to(torch.float64).clamp(max=_HIGHEST_THRESHOLD)
    matches: Tensor = _match(
        similarities.to(torch.float64),
        pred_offsets,
        target_offsets,
        ignored,
        crowd,
        limits,
        predictions,
    )
    return matches


def _misfit(predictions: int, targets: int, similarities: int) -> InvalidValueError:
    return InvalidValueError(
        "pred_offsets, target_offsets: expected numbers that rise from 0 to the rows of all "
        f"groups ({predictions} predictions, {targets} targets) and whose blocks fill the "
        f"{similarities} similarities"
    )


def _on_cpu(
    similarities: Tensor,
    pred_offsets: Tensor,
    target_offsets: Tensor,
    ignored: Tensor,
    crowd: Tensor,
    thresholds: Tensor,
    predictions: int,
) -> Tensor:
    shape = (ignored.shape[0], thresholds.shape[0], predictions)
    out = _backend.empty(shape, similarities, torch.int64)
    try:
        _backend.cpu.match_greedily(
            _backend.array(similarities),
            _backend.array(pred_offsets),
            _backend.array(target_offsets),
            _backend.array(ignored),
            _backend.array(crowd),
            _backend.array(thresholds),
            out.numpy(),
            _backend.threads(),
        )
    except IndexError as error:
        raise _misfit(predictions, crowd.shape[0], similarities.shape[0]) from error
    return out


def _on_cuda(
    similarities: Tensor,
    pred_offsets: Tensor,
    target_offsets: Tensor,
    ignored: Tensor,
    crowd: Tensor,
    thresholds: Tensor,
    predictions: int,
) -> Tensor:
    settings, limits = ignored.shape[0], thresholds.shape[0]
    out = _backend.empty((settings, limits, predictions), similarities, torch.int64)
    sizes = pred_offsets.diff() * target_offsets.diff()
    _backend.cuda().match_greedily(
        similarities.detach().contiguous(),
        pred_offsets.contiguous(),
        target_offsets.contiguous(),
        (sizes.cumsum(0) - sizes).contiguous(),
        ignored.contiguous(),
        crowd.contiguous(),
        thresholds.contiguous(),
        _backend.zeros((settings * limits * crowd.shape[0],), similarities, torch.bool),
        out,
        _backend.stream(similarities),
    )
    return out


def _fake(
    similarities: Tensor,
    pred_offsets: Tensor,
    target_offsets: Tensor,
    ignored: Tensor,
    crowd: Tensor,
    thresholds: Tensor,
    predictions: int,
) -> Tensor:
    del pred_offsets, target_offsets, crowd
    shape = (ignored.shape[0], thresholds.shape[0], predictions)
    return similarities.new_empty(shape, dtype=torch.int64)


_match = register(
    "match_greedily(Tensor similarities, Tensor pred_offsets, Tensor target_offsets, "
    "Tensor ignored, Tensor crowd, Tensor thresholds, SymInt predictions) -> Tensor",
    cpu=_on_cpu,
    cuda=_on_cuda,
    fake=_fake,
)
