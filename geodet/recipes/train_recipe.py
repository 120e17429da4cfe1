"""The recipe of a whole training run, and what it builds."""

from typing import Literal

import attrs
import torch
from torch import nn

from geodet.data.label_map import LabelMap
from geodet.data.loader import Loader, build_loader
from geodet.data.mapping import TrainMapper
from geodet.data.sample import TargetMaker
from geodet.data.sources.source import Source
from geodet.data.targets import target_maker
from geodet.engine import Processes, Schedule
from geodet.errors import DataError, RecipeError
from geodet.recipes.data import DataRecipe
from geodet.recipes.facts import DataFacts, facts_of, target_kind
from geodet.recipes.fields import number, whole
from geodet.recipes.models import ModelRecipe
from geodet.recipes.optimizers import Cosine, OptimizerRecipe, ScheduleRecipe

__all__ = ["BuiltTraining", "TrainRecipe"]


@attrs.frozen(kw_only=True, eq=False)
class BuiltTraining:
    """Everything that the training loop needs, built.

    Args:
        model: the detector, with the weights it starts from.
        batches: training batches of this process.
        optimizer: over the model's parameters.
        schedule: of its learning rate.
        validation: images to evaluate on.
        label_map: class names and ids, the same for both sets.
    """

    model: nn.Module
    batches: Loader
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    validation: Source
    label_map: LabelMap


@attrs.frozen(kw_only=True)
class TrainRecipe:
    """Everything that decides a training run.

    Args:
        model: the detector.
        data: what it learns from and is measured on.
        optimizer: how weights are changed.
        schedule: how the learning rate changes.
        steps: number of updates.
        batch_size: images of one update, all processes together.
        evaluate_every: steps between two evaluations; None evaluates at the end only.
        checkpoint_every: steps between two checkpoints.
        keep_checkpoints: how many of the newest stay.
        log_every: steps that are averaged to one line of numbers.
        clip_norm: largest common 2-norm of the gradients; None clips nothing.
        precision: "bf16" computes the forward pass in bfloat16 where that is safe.
        channels_last: store activations with the channel innermost; faster on most machines.
        seed: of the first weights, the order of images, augmentation and sampling.
        num_workers: processes that read images; 0 reads in the training process.
        device: "auto" is CUDA when there is any, else the CPU.
        pictures: number of validation images drawn with predictions at the end.
    """

    model: ModelRecipe
    data: DataRecipe
    optimizer: OptimizerRecipe
    schedule: ScheduleRecipe = attrs.field(factory=Cosine)
    steps: int = attrs.field(validator=whole())
    batch_size: int = attrs.field(validator=whole())
    evaluate_every: int | None = attrs.field(default=None, validator=whole(optional=True))
    checkpoint_every: int = attrs.field(default=1000, validator=whole())
    keep_checkpoints: int = attrs.field(default=2, validator=whole())
    log_every: int = attrs.field(default=20, validator=whole())
    clip_norm: float | None = attrs.field(default=None, validator=number(optional=True))
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False
    seed: int = attrs.field(default=0, validator=whole(at_least=0))
    num_workers: int = attrs.field(default=0, validator=whole(at_least=0))
    device: str = "auto"
    pictures: int = attrs.field(default=8, validator=whole(at_least=0))

    def __attrs_post_init__(self) -> None:
        missing = [name for name in self.model.outputs if name not in self.data.offers]
        if missing:
            offered = ", ".join(sorted(self.data.offers))
            hint = "; set data.masks to true" if getattr(self.data, "masks", True) is False else ""
            raise RecipeError(
                f"data: {type(self.model).__name__} learns {', '.join(self.model.outputs)}, "
                f"{type(self.data).__name__} offers {offered}: {', '.join(missing)} missing{hint}"
            )

    def facts(self, source: Source) -> DataFacts:
        """Return what the model has to know of the data."""
        return facts_of(
            source,
            short_edge=self.data.test_short_edge,
            max_long_edge=self.data.max_long_edge,
        )

    def build_validation(self) -> Source:
        """Return the validation images with the truth of what the model predicts."""
        return self.data.build_validation(self.model.outputs)

    def build(self, processes: Processes | None = None) -> BuiltTraining:
        """Build model, loader, optimizer and schedule; reads the data set's annotations.

        Args:
            processes: this process among all; None is alone on the CPU.
        Raises:
            RecipeError: the recipe and the data contradict each other.
            DataError, CheckpointError: a file that the recipe names is broken or does not fit.
        """
        own = processes or Processes()
        share = own.share_of(self.batch_size)
        train = self.data.build_train(self.model.outputs)
        validation = self.build_validation()
        label_map = self._label_map(train, validation)
        if len(train) == 0:
            raise DataError(f"data: expected at least one training image, got none: {train!r}")
        if len(train) < self.batch_size:
            raise RecipeError(
                f"batch_size: expected at most {len(train)} (the training images), "
                f"got {self.batch_size}"
            )
        facts = self.facts(train)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = self.model.build(facts)
        self.model.load_initial_weights(model)
        model.to(own.device)
        return BuiltTraining(
            model=model,
            batches=build_loader(
                TrainMapper(source=train, choices=self.data.augmentation(), seed=self.seed),
                batch_size=share,
                target=self._target_maker(facts),
                seed=self.seed,
                rank=own.rank,
                world_size=own.world_size,
                num_workers=self.num_workers,
                pin_memory=own.device.type == "cuda",
            ),
            optimizer=self.optimizer.build(model),
            schedule=self.schedule.build(self.steps),
            validation=validation,
            label_map=label_map,
        )

    def _target_maker(self, facts: DataFacts) -> TargetMaker:
        kind = target_kind(self.model.outputs)
        return target_maker(kind, labels=facts.scene_labels if kind == "scene" else None)

    def check_classes(self, num_classes: int) -> None:
        """Check the model's class count against the data's.

        Raises:
            RecipeError: they differ.
        """
        given = self.model.num_classes
        if given is not None and given != num_classes:
            raise RecipeError(
                f"model.num_classes: expected {num_classes} (the classes of the data), got "
                f"{given}; leave it out to take it from the data"
            )

    def _label_map(self, train: Source, validation: Source) -> LabelMap:
        if train.label_map != validation.label_map:
            raise RecipeError(
                "data: training and validation annotations list different classes: "
                f"{train.label_map} and {validation.label_map}"
            )
        self.check_classes(len(train.label_map))
        return train.label_map
