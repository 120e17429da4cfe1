"""Region proposal network.

Letters: b images, a anchors of an image over all levels, k anchors per cell, c numbers per box.
Reference: Ren et al. 2015 (arXiv 1506.01497).
"""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError, InvalidValueError
from geodet.models.anchors import AnchorGenerator
from geodet.models.assignment import Matcher
from geodet.models.box_coding import BoxCoder, Coder
from geodet.models.box_kinds import UPRIGHT, AnyBoxKind
from geodet.models.heads.stages import FirstStage, Proposals, TrainedProposals
from geodet.models.layers import ConvNorm, fill_normal
from geodet.models.losses import BoxLoss, SmoothL1
from geodet.models.ranking import best_first
from geodet.models.sampling import BalancedSampler
from geodet.structures import ImageSize

__all__ = ["RPN", "ProposalBudget", "RPNHead", "RPNOutput"]


class RPNHead(nn.Module):
    """Objectness and box offsets of every anchor, with the same weights on every level.

    Args:
        in_channels: channels of every map it reads.
        anchors_per_location: k.
        num_convs: 3x3 convolutions before the two predictors.
        kind: of the anchors.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        anchors_per_location: int,
        num_convs: int = 1,
        kind: AnyBoxKind = UPRIGHT,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.in_channels = in_channels
        self.anchors_per_location = anchors_per_location
        self.convs = nn.Sequential(
            *(
                ConvNorm(in_channels, in_channels, 3, activation=functional.relu_)
                for _ in range(num_convs)
            )
        )
        self.objectness = nn.Conv2d(in_channels, anchors_per_location, 1)
        self.deltas = nn.Conv2d(in_channels, anchors_per_location * kind.columns, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                fill_normal(layer, std=0.01)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Predict for one level.

        Args:
            features: [b, in_channels, h, w].
        Returns:
            logits [b, h * w * k] and deltas [b, h * w * k, c], in the order of the anchors.
        Empty: b = 0 gives b = 0.
        """
        features = self.convs(features)
        # [b, k * c, h, w] -> [b, h, w, k, c]
        deltas = self.deltas(features).unflatten(1, (-1, self.kind.columns)).permute(0, 3, 4, 1, 2)
        logits = self.objectness(features).permute(0, 2, 3, 1)
        return logits.flatten(1), deltas.flatten(1, 3)


@attrs.frozen
class ProposalBudget:
    """How many proposals survive.

    Args:
        before_nms: best anchors of each level and image that are decoded.
        after_nms: best boxes of each image that are kept.
    """

    before_nms: int
    after_nms: int


@attrs.frozen(eq=False)
class RPNOutput:
    """Raw predictions for a batch.

    Args:
        anchors: per level [a_l, c].
        logits: per level [b, a_l].
        deltas: per level [b, a_l, c].
    """

    anchors: list[Tensor]
    logits: list[Tensor]
    deltas: list[Tensor]


class RPN(FirstStage):
    """Anchors, their predictions, their losses and the selection of proposals.

    Args:
        head: predicts for every anchor.
        anchors: one level per name in `levels`.
        levels: maps to read, finest first.
        matcher: anchors to ground truth.
        sampler: which anchors count in the losses.
        train_budget: proposals that the box head trains on.
        test_budget: proposals that it predicts from.
        coder: offsets <-> boxes; None is `BoxCoder` with weights of 1.
        nms_threshold: IoU above which the worse of two proposals of a level goes.
        min_size: a proposal with a side not longer than this goes.
        box_loss: of the positives; None is `SmoothL1`.
        objectness_weight: factor of the objectness loss.
    Raises:
        CompositionError: head, anchors and levels do not fit each other.
    """

    def __init__(
        self,
        *,
        head: RPNHead,
        anchors: AnchorGenerator,
        levels: Sequence[str],
        matcher: Matcher,
        sampler: BalancedSampler,
        train_budget: ProposalBudget,
        test_budget: ProposalBudget,
        coder: Coder | None = None,
        nms_threshold: float = 0.7,
        min_size: float = 0.0,
        box_loss: BoxLoss | None = None,
        objectness_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if head.anchors_per_location != anchors.anchors_per_location:
            raise CompositionError(
                f"RPNHead predicts for {head.anchors_per_location} anchors per location, "
                f"AnchorGenerator makes {anchors.anchors_per_location}"
            )
        if len(levels) != len(anchors.strides):
            raise CompositionError(
                f"RPN reads {len(levels)} levels {list(levels)}, AnchorGenerator has strides for "
                f"{len(anchors.strides)}: {list(anchors.strides)}"
            )
        coder = BoxCoder() if coder is None else coder
        box_loss = SmoothL1() if box_loss is None else box_loss
        _check_kinds(head, anchors, coder)
        box_loss.check_fits(coder, owner="RPN")
        self.kind = coder.kind
        self.in_channels = head.in_channels
        self.strides = dict(zip(levels, anchors.strides, strict=True))
        self.head = head
        self.anchors = anchors
        self.levels = tuple(levels)
        self.matcher = matcher
        self.sampler = sampler
        self.train_budget = train_budget
        self.test_budget = test_budget
        self.coder = coder
        self.nms_threshold = nms_threshold
        self.min_size = min_size
        self.box_loss = box_loss
        self.objectness_weight = objectness_weight

    def forward(self, features: Mapping[str, Tensor]) -> RPNOutput:
        """Predict for every anchor of every level.

        Args:
            features: name -> [b, c, h, w], the names in `levels` among them.
        Returns:
            Raw predictions.
        Empty: b = 0 gives b = 0.
        """
        maps = [features[name] for name in self.levels]
        predictions = [self.head(level) for level in maps]
        return RPNOutput(
            anchors=self.anchors([(level.shape[-2], level.shape[-1]) for level in maps]),
            logits=[logits for logits, _ in predictions],
            deltas=[deltas for _, deltas in predictions],
        )

    def learn(
        self,
        features: Mapping[str, Tensor],
        sizes: Sequence[ImageSize],
        target_boxes: Sequence[Tensor],
        *,
        given: Sequence[Proposals] | None = None,
        generator: torch.Generator | None = None,
    ) -> TrainedProposals:
        """See `FirstStage`; losses and counts are those of `losses`."""
        _refuse(given)
        output = self(features)
        losses, counts = self.losses(output, target_boxes, generator=generator)
        proposals = self.select(output, sizes, self.train_budget)
        return TrainedProposals(proposals=proposals, losses=losses, counts=counts)

    def propose(
        self,
        features: Mapping[str, Tensor],
        sizes: Sequence[ImageSize],
        *,
        given: Sequence[Proposals] | None = None,
    ) -> list[Proposals]:
        """See `FirstStage`."""
        _refuse(given)
        return self.select(self(features), sizes, self.test_budget)

    def losses(
        self,
        output: RPNOutput,
        target_boxes: Sequence[Tensor],
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Objectness and box losses, over the sampled anchors.

        Args:
            output: of `forward`, for b images.
            target_boxes: b ground truths [g, c].
            generator: source of the sampling; None is torch's global one.
        Returns:
            losses: "rpn_objectness" (binary cross-entropy) and "rpn_boxes" (of the
                positives), each a sum divided by sampler.count * b.
            counts: "rpn_positive" and "rpn_negative" anchors sampled, int64 scalars.
        Empty: an image without ground truth has negatives only.
        """
        anchors = torch.cat(output.anchors)
        logits = torch.cat(output.logits, dim=1)  # [b, a]
        deltas = torch.cat(output.deltas, dim=1)  # [b, a, c]
        positive, negative, references, wanted = [], [], [], []
        with torch.no_grad():
            for i, boxes in enumerate(target_boxes):
                targets, labels = self.matcher(self.kind.pairwise_iou(boxes, anchors))
                chosen, rejected = self.sampler(labels, generator=generator)
                positive.append(chosen + i * len(anchors))
                negative.append(rejected + i * len(anchors))
                references.append(anchors[chosen])
                wanted.append(boxes[targets[chosen]])
            positives, negatives = torch.cat(positive), torch.cat(negative)
        flat_logits = logits.flatten().float()
        objectness = functional.binary_cross_entropy_with_logits(
            torch.cat([flat_logits[positives], flat_logits[negatives]]),
            torch.cat([torch.ones_like(positives), torch.zeros_like(negatives)]).float(),
            reduction="sum",
        )
        boxes_loss = self.box_loss(
            self.coder,
            torch.cat(references),
            deltas.flatten(0, 1)[positives],
            torch.cat(wanted),
        )
        normaliser = self.sampler.count * len(target_boxes)
        losses = {
            "rpn_objectness": self.objectness_weight * objectness / normaliser,
            "rpn_boxes": boxes_loss / normaliser,
        }
        counts = {
            "rpn_positive": torch.tensor(positives.numel()),
            "rpn_negative": torch.tensor(negatives.numel()),
        }
        return losses, counts

    @torch.no_grad()
    def select(
        self, output: RPNOutput, sizes: Sequence[ImageSize], budget: ProposalBudget
    ) -> list[Proposals]:
        """Best proposals of each image.

        Per level the anchors with the highest logits are decoded; boxes that are not finite are
        dropped, the rest clipped to the image (without its padding), those with an empty side
        dropped, the levels' boxes thinned by NMS apart from each other, and the best kept.

        Args:
            output: of `forward`, for b images.
            sizes: b true image sizes.
            budget: how many.
        Returns:
            b proposals, by descending logit; ties go to the finer level, then the earlier anchor.
        Empty: an image may have no proposals.
        """
        boxes, logits, groups = self._best_of_levels(output, budget.before_nms)
        finite = torch.isfinite(boxes).all(-1) & torch.isfinite(logits)
        limits = torch.tensor(
            [[size.width, size.height] for size in sizes], dtype=boxes.dtype, device=boxes.device
        )
        boxes = self.kind.clip(boxes, limits[:, None])
        usable = finite & (self.kind.sides(boxes) > self.min_size).all(-1)
        proposals = []
        for i in range(len(sizes)):
            rows = torch.nonzero(usable[i]).flatten()
            kept = self.kind.batched_nms(
                boxes[i, rows], logits[i, rows], groups[rows], self.nms_threshold
            )
            rows = rows[kept[: budget.after_nms]]
            proposals.append(Proposals(boxes=boxes[i, rows], logits=logits[i, rows]))
        return proposals

    def _best_of_levels(self, output: RPNOutput, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Decoded boxes [b, n, c], logits [b, n] and levels [n] of the best anchors."""
        boxes, logits, groups = [], [], []
        for level, (anchors, level_logits, deltas) in enumerate(
            zip(output.anchors, output.logits, output.deltas, strict=True)
        ):
            order = best_first(level_logits, count)
            logits.append(level_logits.gather(1, order).float())
            chosen = deltas.gather(1, order[..., None].expand(-1, -1, self.kind.columns))
            boxes.append(self.coder.decode(anchors[order], chosen))
            groups.append(order.new_full((order.shape[1],), level))
        return torch.cat(boxes, dim=1), torch.cat(logits, dim=1), torch.cat(groups)


def _refuse(given: Sequence[Proposals] | None) -> None:
    if given is not None:
        raise InvalidValueError(
            "proposals: expected none, RPN makes its own; build the model with GivenProposals to "
            "use yours"
        )


def _check_kinds(head: RPNHead, anchors: AnchorGenerator, coder: Coder) -> None:
    makers = {"RPNHead": head.kind, "AnchorGenerator": anchors.kind}
    for name, kind in makers.items():
        if kind != coder.kind:
            raise CompositionError(
                f"{name} is made for {kind.structure.__name__}, {type(coder).__name__} for "
                f"{coder.kind.structure.__name__}; AnchorGenerator takes angles for rotated "
                "anchors, RPNHead their kind"
            )
