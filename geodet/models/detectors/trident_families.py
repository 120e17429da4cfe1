"""TridentNet as Detectron2's project has it, every number a keyword."""

from collections.abc import Sequence

from geodet.models.backbones import trident_resnet
from geodet.models.detectors.one_map_parts import (
    c4_box_features,
    one_map_box_head,
    one_map_preprocess,
    one_map_rpn,
)
from geodet.models.detectors.rcnn import RCNN
from geodet.models.detectors.trident import BranchMerger, TridentNet
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.preprocess import Preprocess

__all__ = ["tridentnet_c4"]


def tridentnet_c4(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    stride_in_1x1: bool = True,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    dilations: Sequence[int] = (1, 2, 3),
    test_branch: int = 1,
    merger: BranchMerger | None = None,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (12000, 500),
    test_proposals: tuple[int, int] = (6000, 1000),
    box_samples: int = 128,
    box_positive_fraction: float = 0.5,
    append_targets: bool = False,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> TridentNet:
    """TridentNet on a ResNet whose res4 runs in branches, with res5 as the head of every region.

    Its weights are those of Faster R-CNN on C4, name by name.

    Args: as in `faster_rcnn_c4`, and
        dilations: of the 3x3 convolutions of res4, one per branch.
        test_branch: the branch that predictions come from (TridentNet Fast).
        merger: predict from all branches instead, joined so.
        box_positive_fraction: largest share of foreground among the box_samples regions.
        append_targets: ground-truth boxes join the proposals to train on.
    """
    backbone = trident_resnet(
        depth,
        width=width,
        norm=norm,
        stride_in_1x1=stride_in_1x1,
        freeze_at=freeze_at,
        dilations=dilations,
        test_branch=test_branch,
        out_features=("res4",),
    )
    features = c4_box_features(depth=depth, width=width, norm=norm, stride_in_1x1=stride_in_1x1)
    detector = RCNN(
        preprocess=one_map_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        proposals=one_map_rpn(
            backbone,
            anchor_sizes=anchor_sizes,
            aspect_ratios=aspect_ratios,
            samples_per_image=rpn_samples,
            train_proposals=train_proposals,
            test_proposals=test_proposals,
        ),
        box_head=one_map_box_head(
            backbone,
            features,
            num_classes=num_classes,
            samples_per_image=box_samples,
            positive_fraction=box_positive_fraction,
            append_targets=append_targets,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        ),
    )
    return TridentNet(detector, merger=merger)
