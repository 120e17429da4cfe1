"""Proposals between users, who have Instances, and heads, which have tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from geodet.errors import DtypeError, ShapeError
from geodet.models.box_kinds import AnyBoxKind
from geodet.models.heads import Proposals
from geodet.structures import ImageSize, Instances

__all__ = ["instances_from_proposals", "proposals_from_instances"]

_LOGITS = "objectness_logits"


def proposals_from_instances(
    tables: Sequence[Instances],
    sizes: Sequence[ImageSize],
    *,
    kind: AnyBoxKind,
    device: torch.device,
) -> list[Proposals]:
    """Check proposals against their images, and bring them to the device of the model.

    Proposals rank by their extra "objectness_logits", else by their scores, else as they come.

    Args:
        tables: one per image, with boxes; from `ProposalNetwork` or anything else.
        sizes: size of each image.
        kind: of boxes that the model takes.
        device: where they go.
    Raises:
        ShapeError: another number of tables than images, or a table of another image size.
        DtypeError: boxes are missing or of another kind, or the logits are no [n] tensor.
        All name the position of the image.
    Empty: an image may have no proposals.
    """
    if len(tables) != len(sizes):
        raise ShapeError(f"proposals: expected {len(sizes)}, one per image, got {len(tables)}")
    found = []
    for position, (table, size) in enumerate(zip(tables, sizes, strict=True)):
        name = f"proposals[{position}]"
        if table.image_size != size:
            raise ShapeError(
                f"{name}: expected image_size {size} as images[{position}] has, got "
                f"{table.image_size}; transform image and proposals together"
            )
        if len(table) == 0:
            boxes, logits = kind.empty(device=device), torch.zeros(0, device=device)
        else:
            boxes = kind.unwrap(table.boxes, name=f"{name}.boxes").to(device, torch.float32)
            logits = _logits(name, table).to(device, torch.float32)
        found.append(Proposals(boxes=boxes, logits=logits))
    return found


def instances_from_proposals(
    proposals: Sequence[Proposals], sizes: Sequence[ImageSize], kind: AnyBoxKind
) -> list[Instances]:
    """Proposals as tables: boxes, scores, and the logits that the scores are the sigmoid of.

    Args:
        proposals: of each image.
        sizes: of each image.
        kind: of the boxes.
    Returns:
        Per image boxes, scores and the extra "objectness_logits", in the same order.
    Empty: an image without proposals gets a table without rows.
    """
    return [
        Instances(
            size,
            boxes=kind.wrap(found.boxes),
            scores=found.logits.sigmoid(),
            extras={_LOGITS: found.logits},
        )
        for size, found in zip(sizes, proposals, strict=True)
    ]


def _logits(name: str, table: Instances) -> Tensor:
    logits = table.extras.get(_LOGITS)
    if logits is not None:
        if not isinstance(logits, Tensor) or logits.ndim != 1:
            raise DtypeError(f"{name}.extras[{_LOGITS!r}]: expected a tensor [{len(table)}]")
        return logits
    if table.scores is not None:
        # Certain proposals stay finite.
        return torch.logit(table.scores.float(), eps=1e-7)
    return torch.zeros(len(table))
