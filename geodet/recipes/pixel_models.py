"""Recipes of models of pixels and of whole scenes."""

from typing import ClassVar, Literal

import attrs
from torch import nn

from geodet.errors import RecipeError
from geodet.models.detectors import (
    PanopticFPN,
    SemanticSegmentor,
    deeplab_v3,
    deeplab_v3_plus,
    fpn_semantic_head,
    panoptic_fpn,
)
from geodet.recipes.backbones import PreprocessRecipe
from geodet.recipes.detectors import BackboneRecipe, RcnnRecipe
from geodet.recipes.facts import DataFacts, Output
from geodet.recipes.fields import fraction, whole, wholes
from geodet.recipes.heads import SemanticHeadRecipe

__all__ = ["DeepLabRecipe", "PanopticFpnRecipe", "SemanticFpnRecipe"]


@attrs.frozen(kw_only=True)
class SemanticFpnRecipe:
    """A class for every pixel, from a pyramid of p2 to p6: objects' classes, then backgrounds'.

    Args:
        backbone: the feature extractor.
        num_classes: of the objects; None takes it from the data.
        preprocess: the network's input.
        semantic_head: the branch that classifies pixels.
    """

    outputs: ClassVar[tuple[Output, ...]] = ("semantic",)

    backbone: BackboneRecipe
    num_classes: int | None = attrs.field(default=None, validator=whole(optional=True))
    preprocess: PreprocessRecipe = attrs.field(factory=PreprocessRecipe)
    semantic_head: SemanticHeadRecipe = attrs.field(factory=SemanticHeadRecipe)

    def build(self, facts: DataFacts) -> SemanticSegmentor:
        """Return the model with fresh weights."""
        backbone = self.backbone.build()
        return SemanticSegmentor(
            preprocess=self.preprocess.build(facts),
            backbone=backbone,
            head=fpn_semantic_head(
                backbone,
                num_classes=facts.num_classes + facts.num_stuff,
                channels=self.semantic_head.channels,
                loss_weight=self.semantic_head.loss_weight,
            ),
        )

    def load_initial_weights(self, model: nn.Module) -> None:
        """Load what the backbone starts from; see `ResNetFpnRecipe.load_initial_weights`."""
        self.backbone.load_initial_weights(model.get_submodule("backbone"))


@attrs.frozen(kw_only=True)
class DeepLabRecipe:
    """DeepLabV3 or V3+: a class for every pixel, from a dilated ResNet trained from scratch.

    Args:
        plus: with the decoder of V3+, which sharpens outlines by finer maps.
        depth: number of layers of the ResNet.
        width: channels of its stem; the stages scale with it.
        num_classes: of the objects; None takes it from the data.
        preprocess: the network's input.
        aspp_channels: of the branches that look at several dilations.
        dilations: of these branches.
        dropout: of what they found.
        hard_fraction: share of the pixels, those of the greatest loss, that train.
    """

    outputs: ClassVar[tuple[Output, ...]] = ("semantic",)

    plus: bool = True
    depth: Literal[50, 101, 152] = 50
    width: int = attrs.field(default=64, validator=whole())
    num_classes: int | None = attrs.field(default=None, validator=whole(optional=True))
    preprocess: PreprocessRecipe = attrs.field(factory=PreprocessRecipe)
    aspp_channels: int = attrs.field(default=256, validator=whole())
    dilations: tuple[int, ...] = attrs.field(default=(6, 12, 18), validator=wholes())
    dropout: float = attrs.field(default=0.1, validator=fraction)
    hard_fraction: float = attrs.field(default=0.2, validator=fraction)

    def build(self, facts: DataFacts) -> SemanticSegmentor:
        """Return the model with fresh weights."""
        family = deeplab_v3_plus if self.plus else deeplab_v3
        return family(
            num_classes=facts.num_classes + facts.num_stuff,
            preprocess=self.preprocess.build(facts),
            depth=self.depth,
            width=self.width,
            aspp_channels=self.aspp_channels,
            dilations=self.dilations,
            dropout=self.dropout,
            hard_fraction=self.hard_fraction,
        )

    def load_initial_weights(self, model: nn.Module) -> None:
        """Nothing to load: all layers train from the start."""


@attrs.frozen(kw_only=True)
class PanopticFpnRecipe:
    """Objects and background of a scene: a detector with masks, and a semantic head.

    Args:
        detector: in two stages, of upright boxes, with masks.
        semantic_head: classifies the background.
        score_threshold: least score of an object in the scene.
        overlap_threshold: greatest share of its mask that better objects may have.
        min_stuff_area: least area of a background class in the scene, pixels.
    Raises:
        RecipeError: the detector has no masks, or rotated boxes.
    """

    detector: RcnnRecipe
    semantic_head: SemanticHeadRecipe = attrs.field(default=SemanticHeadRecipe(loss_weight=0.5))
    score_threshold: float = attrs.field(default=0.5, validator=fraction)
    overlap_threshold: float = attrs.field(default=0.5, validator=fraction)
    min_stuff_area: int = attrs.field(default=4096, validator=whole(at_least=0))

    def __attrs_post_init__(self) -> None:
        if self.detector.mask_head is None:
            raise RecipeError(
                "detector.mask_head: a scene is made of masks; give the detector a MaskHeadRecipe"
            )
        if self.detector.rotated:
            raise RecipeError("detector.rotated: expected false, scenes are made by upright boxes")

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What the model predicts, and so what it needs of the data."""
        return (*self.detector.outputs, "semantic", "panoptic")

    @property
    def num_classes(self) -> int | None:
        """Of the objects; None takes it from the data."""
        return self.detector.num_classes

    def build(self, facts: DataFacts) -> PanopticFPN:
        """Return the model with fresh weights."""
        return panoptic_fpn(
            self.detector.build(facts),
            labels=facts.scene_labels,
            head_channels=self.semantic_head.channels,
            semantic_weight=self.semantic_head.loss_weight,
            score_threshold=self.score_threshold,
            overlap_threshold=self.overlap_threshold,
            min_stuff_area=self.min_stuff_area,
        )

    def load_initial_weights(self, model: nn.Module) -> None:
        """Load what the detector starts from."""
        self.detector.load_initial_weights(model.get_submodule("detector"))
