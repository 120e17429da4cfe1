"""The recipe of Panoptic-DeepLab: scenes without boxes."""

from typing import ClassVar, Literal

import attrs
from torch import nn

from geodet.models.detectors import CenterTargets, PanopticDeepLab, panoptic_deeplab
from geodet.models.layers import NormFactory, group_norm
from geodet.recipes.backbones import PreprocessRecipe
from geodet.recipes.facts import DataFacts, Output
from geodet.recipes.fields import fraction, number, whole, wholes
from geodet.structures import SceneLabels

__all__ = ["PanopticDeepLabRecipe"]


@attrs.frozen(kw_only=True)
class PanopticDeepLabRecipe:
    """Panoptic-DeepLab: scenes from classes of pixels, centres and offsets.

    Args:
        depth: number of layers of the dilated ResNet.
        width: channels of its stages scale with it.
        norm: of every convolution; "sync" for several processes.
        num_classes: of the objects; None takes it from the data.
        preprocess: the network's input.
        project_channels: what res2 and res3 are reduced to.
        channels: of ASPP and of the semantic decoder.
        center_channels: of the decoder of centres, and of the last convolution after it.
        dilations: of ASPP.
        dropout: share of ASPP's output that training drops.
        separable: convolutions by channel and by cell apart.
        hard_fraction: share of the pixels, the hardest, that trains the classes.
        heat_weight: factor of the loss of centres.
        offset_weight: factor of the loss of offsets.
        sigma: width of a centre's heat in training, pixels.
        small_area: objects of fewer pixels count as small.
        small_weight: weight of their pixels in the semantic loss.
        threshold: heat of a centre must be above it.
        suppression_side: a centre is the hottest of so many pixels along both sides around it; odd.
        max_centers: most centres of an image.
        min_stuff_area: least area of a background class in the scene, pixels.
    """

    outputs: ClassVar[tuple[Output, ...]] = ("masks", "semantic", "panoptic")

    depth: Literal[50, 101, 152] = 50
    width: int = attrs.field(default=64, validator=whole())
    norm: Literal["batch", "sync", "group"] = "batch"
    num_classes: int | None = attrs.field(default=None, validator=whole(optional=True))
    preprocess: PreprocessRecipe = attrs.field(factory=PreprocessRecipe)
    project_channels: tuple[int, int] = (32, 64)
    channels: int = attrs.field(default=256, validator=whole())
    center_channels: tuple[int, int] = (128, 32)
    dilations: tuple[int, ...] = attrs.field(default=(6, 12, 18), validator=wholes())
    dropout: float = attrs.field(default=0.1, validator=fraction)
    separable: bool = True
    hard_fraction: float = attrs.field(default=0.2, validator=number())
    heat_weight: float = attrs.field(default=200.0, validator=number())
    offset_weight: float = attrs.field(default=0.01, validator=number())
    sigma: int = attrs.field(default=10, validator=whole())
    small_area: int = attrs.field(default=4096, validator=whole(at_least=0))
    small_weight: float = attrs.field(default=3.0, validator=number())
    threshold: float = attrs.field(default=0.1, validator=fraction)
    suppression_side: int = attrs.field(default=7, validator=whole())
    max_centers: int = attrs.field(default=200, validator=whole())
    min_stuff_area: int = attrs.field(default=2048, validator=whole(at_least=0))

    def build(self, facts: DataFacts) -> PanopticDeepLab:
        """Return the model with fresh weights."""
        norms: dict[str, NormFactory] = {
            "batch": nn.BatchNorm2d,
            "sync": nn.SyncBatchNorm,
            "group": group_norm(),
        }
        labels = SceneLabels.all_semantic(num_things=facts.num_classes, num_stuff=facts.num_stuff)
        return panoptic_deeplab(
            labels=labels,
            preprocess=self.preprocess.build(facts, size_divisor=1),
            depth=self.depth,
            width=self.width,
            norm=norms[self.norm],
            project_channels=self.project_channels,
            aspp_channels=self.channels,
            dilations=self.dilations,
            dropout=self.dropout,
            separable=self.separable,
            semantic_channels=(self.channels, self.channels),
            center_channels=self.center_channels,
            hard_fraction=self.hard_fraction,
            loss_weights=(1.0, self.heat_weight, self.offset_weight),
            targets=CenterTargets(
                labels=labels,
                sigma=self.sigma,
                small_area=self.small_area,
                small_weight=self.small_weight,
            ),
            threshold=self.threshold,
            suppression_side=self.suppression_side,
            max_centers=self.max_centers,
            min_stuff_area=self.min_stuff_area,
        )

    def load_initial_weights(self, model: nn.Module) -> None:
        """Nothing to load: all layers train from the start."""
