"""Panoptic-DeepLab: scenes from classes of pixels, centres of objects and offsets to them.

Reference: Cheng et al. 2020 (arXiv 1911.10194).
"""

from collections.abc import Sequence
from typing import ClassVar, Literal, overload

import torch
from torch import Tensor, nn

from geodet.errors import CompositionError
from geodet.models.detectors.center_grouping import CenterGrouping
from geodet.models.detectors.center_targets import CenterTargets
from geodet.models.detectors.fit import check_preprocess
from geodet.models.detectors.semantic_segmentor import semantic_scores
from geodet.models.detectors.semantic_targets import check_classes
from geodet.models.features import Backbone, checked_features
from geodet.models.heads.centers import CenterHead
from geodet.models.heads.semantic import SemanticHead, check_maps, check_semantic_head
from geodet.models.preprocess import Preprocess
from geodet.structures import (
    ImageList,
    Instances,
    PanopticSegmentation,
    ScenePrediction,
    SemanticMap,
    SemanticScores,
)

__all__ = ["PanopticDeepLab"]


class PanopticDeepLab(nn.Module):
    """Objects and background of a scene without boxes or proposals.

    Args:
        preprocess: images to the network's input.
        backbone: input to feature maps.
        semantic_head: classifies the pixels, things class by class.
        center_head: heat of centres and offsets to them.
        targets: how panoptic truth is trained on, and what classes mean in the scene.
        threshold: heat of a centre must be above it.
        suppression_side: a centre is the hottest of so many pixels along both sides around it.
        max_centers: of more centres, those hotter than the one in this place stay.
        min_stuff_area: least area of a background class, pixels.
        find_instances: give the objects with scores and masks beside the scene.
    Raises:
        CompositionError: two parts do not fit each other; names both.
        InvalidValueError: a number is out of range.
    """

    target_kind: ClassVar[Literal["panoptic"]] = "panoptic"

    def __init__(
        self,
        *,
        preprocess: Preprocess,
        backbone: Backbone,
        semantic_head: SemanticHead,
        center_head: CenterHead,
        targets: CenterTargets,
        threshold: float = 0.1,
        suppression_side: int = 7,
        max_centers: int = 200,
        min_stuff_area: int = 2048,
        find_instances: bool = True,
    ) -> None:
        super().__init__()
        check_preprocess(preprocess, backbone)
        check_semantic_head(semantic_head, backbone)
        check_maps("CenterHead", center_head.specs, backbone)
        if semantic_head.num_classes != len(targets.labels.semantic):
            raise CompositionError(
                f"semantic head has num_classes={semantic_head.num_classes}, SceneLabels of "
                f"CenterTargets name {len(targets.labels.semantic)}"
            )
        self.preprocess = preprocess
        self.backbone = backbone
        self.semantic_head = semantic_head
        self.center_head = center_head
        self.targets = targets
        self.num_classes = len(targets.labels.things)
        self.find_instances = find_instances
        self._numbers = {
            "threshold": threshold,
            "suppression_side": suppression_side,
            "max_centers": max_centers,
            "min_stuff_area": min_stuff_area,
        }
        blank = SemanticScores.from_logits(torch.zeros(2, 1, 1))
        self._grouping(SemanticScores.from_logits(torch.zeros(1, 1, 1)), blank)  # checks numbers

    @overload
    def forward(
        self, images: Sequence[Tensor], targets: Sequence[PanopticSegmentation]
    ) -> dict[str, Tensor]: ...
    @overload
    def forward(self, images: Sequence[Tensor], targets: None = None) -> list[ScenePrediction]: ...

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[PanopticSegmentation] | None = None
    ) -> dict[str, Tensor] | list[ScenePrediction]:
        """Losses when targets are given, scenes when not; `self.training` decides nothing.

        Args:
            images: [c, h, w] each, RGB, 0..255, uint8 or floating-point.
            targets: the true scene of each image.
        Returns:
            Losses "semantic", "centers", "offsets", scalars to be summed; or what was found in
            each image, in pixels of the image as given. Scale it with `rescale_prediction`
            before reading `panoptic`.
        Raises:
            DtypeError, InvalidValueError, ShapeError: an image or target is not as described;
                names its position.
        Empty: scenes without segments train with losses of 0.
        """
        batch = self.preprocess(images)
        if targets is not None:
            truth = self.targets.make(targets, batch)
            check_classes(truth.labels, self.semantic_head.num_classes)
            features = checked_features(self.backbone, batch)
            losses = self.semantic_head.losses(features, truth.labels, truth.pixel_weights)
            return losses | self.center_head.losses(features, truth.centers)
        return self._predict(batch)

    def _predict(self, batch: ImageList) -> list[ScenePrediction]:
        features = checked_features(self.backbone, batch)
        heat, offsets = self.center_head(features)
        stride = self.center_head.stride
        parts = zip(
            semantic_scores(self.semantic_head(features), batch, stride=self.semantic_head.stride),
            semantic_scores(heat, batch, stride=stride),
            semantic_scores(offsets, batch, stride=stride),
            strict=True,
        )
        scenes = []
        for semantic, own_heat, own_offsets in parts:
            grouping = self._grouping(own_heat, own_offsets)
            objects = Instances.empty(semantic.image_size, device=semantic.device)
            if self.find_instances:
                objects = instances_of_groups(grouping, semantic)
            scenes.append(ScenePrediction(objects, semantic, grouping))
        return scenes

    def _grouping(self, heat: SemanticScores, offsets: SemanticScores) -> CenterGrouping:
        numbers: dict[str, float | int] = self._numbers
        return CenterGrouping(heat, offsets, labels=self.targets.labels, **numbers)  # type: ignore[arg-type]


def instances_of_groups(grouping: CenterGrouping, semantic: SemanticScores) -> Instances:
    """The things of a scene as objects.

    Args:
        grouping: of the image.
        semantic: its scores, of the same size.
    Returns:
        Boxes, labels of the boxes' classes, masks (run lengths) and scores by descending score. A
        score is the mean probability of the class times the heat in the middle of the pixels.
    Empty: a scene without things gives no rows, with all columns.
    """
    scene, size = grouping.group(semantic.to_semantic_map()), semantic.image_size
    labels = grouping.labels
    own = {label: index for index, label in enumerate(labels.semantic) if label is not None}
    classes = SemanticMap.from_panoptic(scene).relabelled(
        [own.get(label, -1) for label in range(labels.num_classes)]
    )
    probability = semantic.probability_of(classes).flatten().double()
    rows = scene.segment_rows().flatten()
    height, width = size
    places = torch.arange(height * width, device=rows.device)
    count = len(scene.segments) + 1
    sums = [
        torch.bincount(rows, weights=weights, minlength=count)
        for weights in (probability, (places // width).double(), (places % width).double())
    ]
    areas = torch.bincount(rows, minlength=count).clamp(min=1)
    mean, row, column = (total / areas for total in sums)
    heat = grouping.heat.resize(size).dense()[0][row.long(), column.long()]
    things = torch.tensor(
        [row for row, segment in enumerate(scene.segments) if segment.is_thing], dtype=torch.int64
    ).to(rows.device)
    found = scene.to_instances()
    box_labels = [
        labels.things.index(segment.label) for segment in scene.segments if segment.is_thing
    ]
    return Instances(
        size,
        boxes=found.boxes,
        labels=torch.tensor(box_labels, dtype=torch.int64, device=rows.device),
        scores=(mean * heat)[things].float().clamp(0, 1),
        masks=None if found.masks is None else found.masks.to_rle_masks(),
    ).sorted_by_score()
