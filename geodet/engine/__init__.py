"""Training: the loop, its callbacks, checkpoints and several processes. Knows no model."""

from geodet.engine.callbacks import (
    Callback,
    EvaluateEvery,
    LogMetrics,
    StepReport,
    TrainingResult,
    WatchCount,
    evaluation_mode,
)
from geodet.engine.checkpoint import Checkpoint, Checkpoints
from geodet.engine.distributed import Processes, choose_device, process_group
from geodet.engine.loop import Batches, BatchLike, SaveCheckpoints, Trainer
from geodet.engine.metrics import MetricsFiles, MetricsWriter, NoMetrics, read_metrics
from geodet.engine.optim import LayeredModule, clip_gradients, parameter_groups, set_learning_rate
from geodet.engine.progress import ShowProgress
from geodet.engine.schedule import (
    ConstantSchedule,
    CosineSchedule,
    MultiStepSchedule,
    PolySchedule,
    Schedule,
    Warmup,
)

__all__ = [
    "BatchLike",
    "Batches",
    "Callback",
    "Checkpoint",
    "Checkpoints",
    "ConstantSchedule",
    "CosineSchedule",
    "EvaluateEvery",
    "LayeredModule",
    "LogMetrics",
    "MetricsFiles",
    "MetricsWriter",
    "MultiStepSchedule",
    "NoMetrics",
    "PolySchedule",
    "Processes",
    "SaveCheckpoints",
    "Schedule",
    "ShowProgress",
    "StepReport",
    "Trainer",
    "TrainingResult",
    "Warmup",
    "WatchCount",
    "choose_device",
    "clip_gradients",
    "evaluation_mode",
    "parameter_groups",
    "process_group",
    "read_metrics",
    "set_learning_rate",
]
