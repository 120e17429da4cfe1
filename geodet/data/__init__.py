"""Data sets, their samples, and the loader that feeds them to a model."""

from geodet.data.decode import read_image
from geodet.data.label_map import LabelMap
from geodet.data.loader import Loader, build_loader
from geodet.data.mapping import EvalMapper, Mapper, TrainMapper
from geodet.data.problems import Problem
from geodet.data.sample import Batch, Sample, Target, TargetMaker
from geodet.data.samplers import AspectRatioBatches, Batches, EpochSampler, FixedBatches
from geodet.data.sources.coco import CocoSource
from geodet.data.sources.source import Source
from geodet.data.targets import TargetKind, target_maker

__all__ = [
    "AspectRatioBatches",
    "Batch",
    "Batches",
    "CocoSource",
    "EpochSampler",
    "EvalMapper",
    "FixedBatches",
    "LabelMap",
    "Loader",
    "Mapper",
    "Problem",
    "Sample",
    "Source",
    "Target",
    "TargetKind",
    "TargetMaker",
    "TrainMapper",
    "build_loader",
    "read_image",
    "target_maker",
]
