"""A training run small enough for tests: also a script, so that tests can kill it.

Usage: python tiny_run.py FOLDER STEPS [--resume] [--slow]   (under torchrun: more processes)
"""

import sys
import time
from pathlib import Path

import attrs
import torch
from torch import nn

from geodet.engine import (
    Callback,
    Checkpoints,
    CosineSchedule,
    LogMetrics,
    MetricsFiles,
    NoMetrics,
    Processes,
    SaveCheckpoints,
    Trainer,
    Warmup,
    parameter_groups,
    process_group,
)
from geodet.weights import write_tensors

TASKS = Path("/proc/self/task")  # Linux: one folder a native thread
LENGTH = 12
BATCH_SIZE = 4


@attrs.frozen(eq=False)
class TinyBatch:
    """Vectors as images, numbers as targets."""

    images: list
    targets: list
    image_ids: list

    def to(self, device, *, non_blocking=False):
        """Return itself: everything is on the CPU."""
        return self


class TinyBatches:
    """Epochs of a fixed data set in a shuffled order, sharded by rank, without end."""

    def __init__(self, rank=0, world_size=1, slow=False):
        generator = torch.Generator().manual_seed(7)
        self.images = torch.randn(LENGTH, 3, 6, 6, generator=generator)
        self.targets = self.images.mean((1, 2, 3)) * 3 + 1
        self.position = 0
        self.rank, self.world_size, self.slow = rank, world_size, slow

    def __iter__(self):
        while True:
            if self.slow:
                time.sleep(0.03)
            epoch, start = divmod(self.position * BATCH_SIZE, LENGTH)
            order = torch.randperm(LENGTH, generator=torch.Generator().manual_seed(epoch))
            chosen = order[start : start + BATCH_SIZE][self.rank :: self.world_size].tolist()
            self.position += 1
            yield TinyBatch(
                [self.images[index] for index in chosen],
                [self.targets[index] for index in chosen],
                chosen,
            )

    def state(self):
        """Return the number of batches handed out."""
        return {"position": self.position}

    def load_state(self, state):
        """Go to a position."""
        self.position = state["position"]


class TinyModel(nn.Module):
    """Convolution, normalisation with running statistics, dropout: all the state there is."""

    def __init__(self, *, dropout=0.3, norm=nn.BatchNorm2d):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), norm(8), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Linear(8, 1)

    def forward(self, images, targets):
        """Return two named losses."""
        features = self.body(torch.stack(list(images))).mean((2, 3))
        error = self.head(features)[:, 0] - torch.stack(list(targets))
        return {"square": error.square().mean(), "absolute": error.abs().mean()}


class Losses(Callback):
    """Keep every report."""

    def __init__(self):
        self.reports = []

    def after_step(self, trainer, report):
        """Keep one."""
        self.reports.append(report)


def build(folder, steps, *, processes=None, callbacks=(), slow=False, optimizer="adamw", **options):
    """Build the tiny trainer, checkpoints every 3 steps."""
    processes = processes or Processes()
    torch.manual_seed(0)
    model = options.pop("model", None) or TinyModel()
    groups = parameter_groups(model, weight_decay=0.01, norm_weight_decay=0.0)
    made = (
        torch.optim.AdamW(groups, lr=0.02)
        if optimizer == "adamw"
        else torch.optim.SGD(groups, lr=0.02, momentum=0.9)
    )
    writer = MetricsFiles(folder) if processes.is_main else NoMetrics()
    saving = SaveCheckpoints(Checkpoints(folder / "checkpoints"), every=3, description={"a": 1})
    return Trainer(
        model,
        options.pop("batches", None) or TinyBatches(processes.rank, processes.world_size, slow),
        made,
        CosineSchedule(steps=60, warmup=Warmup(steps=4, start=0.1)),
        steps=steps,
        callbacks=[LogMetrics(writer), *callbacks, saving],
        clip_norm=1.0,
        processes=processes,
        **options,
    )


def main():
    """Train, and write the final weights."""
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    with process_group("cpu") as processes:
        options = {}
        if processes.world_size > 1 or "--plain" in sys.argv:
            # what mixes images (batch statistics) or draws by rank (dropout) differs by design
            options["model"] = _plain_model()
        trainer = build(folder, steps, processes=processes, slow="--slow" in sys.argv, **options)
        if "--resume" in sys.argv:
            trainer.resume(Checkpoints(folder / "checkpoints").latest())
        result = trainer.run()
        if processes.is_main:
            write_tensors(folder / "final.safetensors", trainer.model.state_dict())
            sys.stdout.write(f"ended at {result.step} by {result.stop_signal}\n")
    if processes.world_size > 1 and TASKS.is_dir():
        names = sorted((task / "comm").read_text().strip() for task in TASKS.iterdir())
        (folder / f"threads_{processes.rank}.txt").write_text("\n".join(names))


def _plain_model():
    torch.manual_seed(0)
    return TinyModel(dropout=0.0, norm=lambda width: nn.GroupNorm(2, width))


if __name__ == "__main__":
    main()
