"""geodet's Faster R-CNN and torchvision's, trained from scratch on BCCD for the same minutes.

Both get the same backbone class with the same first weights, the same anchors, samples, heads,
optimizer, batches and evaluation: what differs is RPN, RoI heads and operators. Each trains alone
in the process, one after the other; the learning rate follows the clock (cosine over the
minutes), so a faster detector simply makes more steps.

    python benchmarks/bccd_torchvision.py --minutes 10 --root ../shared/data/bccd
"""

import argparse
import math
import time
from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision.models.detection.faster_rcnn import FasterRCNN as TorchvisionFasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from geodet import Boxes, ImageSize, Instances
from geodet.inference import Predictor
from geodet.recipes import load_recipe, score

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "bccd_faster_rcnn.py"


class Torchvision(nn.Module):
    """torchvision's detector behind geodet's interface."""

    def __init__(self, backbone, recipe, num_classes):
        super().__init__()
        rpn, head = recipe.model.rpn, recipe.model.box_head
        backbone.out_channels = recipe.model.backbone.fpn_channels
        anchors = AnchorGenerator(
            tuple((size,) for size in rpn.anchor_sizes),
            (rpn.aspect_ratios,) * len(rpn.anchor_sizes),
        )
        pooler = MultiScaleRoIAlign(
            ["p2", "p3", "p4", "p5"], 7, 0, canonical_scale=int(head.canonical_size)
        )
        self.detector = TorchvisionFasterRCNN(
            backbone,
            image_mean=[value / 255 for value in recipe.model.preprocess.mean],
            image_std=[value / 255 for value in recipe.model.preprocess.std],
            rpn_anchor_generator=anchors,
            rpn_pre_nms_top_n_train=rpn.train_before_nms,
            rpn_pre_nms_top_n_test=rpn.test_before_nms,
            rpn_post_nms_top_n_train=rpn.train_after_nms,
            rpn_post_nms_top_n_test=rpn.test_after_nms,
            rpn_batch_size_per_image=rpn.samples_per_image,
            box_roi_pool=pooler,
            box_head=TwoMLPHead(backbone.out_channels * 49, head.fc_features[0]),
            box_predictor=FastRCNNPredictor(head.fc_features[0], num_classes + 1),
            box_batch_size_per_image=head.samples_per_image,
        )
        # Images arrive at the size that both detectors see.
        self.detector.transform.resize = lambda image, target: (image, target)

    def forward(self, images, targets=None):
        pixels = [image.float() / 255 for image in images]
        if targets is not None:
            self.detector.train()
            # torchvision counts classes from 1: 0 is its background
            truth = [{"boxes": t.boxes.xyxy, "labels": t.labels + 1} for t in targets]
            return self.detector(pixels, truth)
        self.detector.eval()
        return [
            Instances(
                ImageSize(*image.shape[-2:]),
                boxes=Boxes(found["boxes"]),
                labels=found["labels"] - 1,
                scores=found["scores"],
            )
            for image, found in zip(images, self.detector(pixels), strict=True)
        ]


def train(model, built, recipe, seconds):
    """Train for a number of seconds; returns the number of steps made."""
    optimizer = recipe.optimizer.build(model)
    base = [group["lr"] for group in optimizer.param_groups]
    batches = iter(built.batches)
    start, steps = time.perf_counter(), 0
    while (part := (time.perf_counter() - start) / seconds) < 1:
        warm = min(1.0, (steps + 1) / recipe.schedule.warmup_steps)
        for group, rate in zip(optimizer.param_groups, base, strict=True):
            group["lr"] = rate * warm * 0.5 * (1 + math.cos(math.pi * part))
        torch.manual_seed(steps)
        batch = next(batches)
        model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
            losses = model(batch.images, batch.targets)
        loss = sum(each.float() for each in losses.values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimizer.step()
        steps += 1
    return steps


def main():
    """Train both and print one row each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/bccd"))
    parser.add_argument("--only", choices=["geodet", "torchvision"])
    options = parser.parse_args()
    recipe = load_recipe(CONFIG, [f"data.root={options.root}"])
    print(
        f"torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"{torch.get_num_threads()} threads, {options.minutes:g} minutes each",
        flush=True,
    )
    for name in ("geodet", "torchvision"):
        if options.only not in {None, name}:
            continue
        built = recipe.build()
        model = built.model
        if recipe.channels_last:
            model.to(memory_format=torch.channels_last)
        if name == "torchvision":
            torch.manual_seed(recipe.seed)
            model = Torchvision(built.model.backbone, recipe, len(built.label_map))
        steps = train(model, built, recipe, 60 * options.minutes)
        built.batches.close()
        report = evaluate(model, recipe, built)
        stats = report["boxes"].stats
        print(f"{name:12} steps {steps:5}  AP {stats[0]:.3f}  AP50 {stats[1]:.3f}", flush=True)


def evaluate(model, recipe, built):
    """COCO's numbers of a model on the validation images, by geodet's evaluator for both."""
    predictor = Predictor(
        model,
        class_names=built.label_map.names,
        short_edge=recipe.data.test_short_edge,
        max_long_edge=recipe.data.max_long_edge,
        batch_size=recipe.batch_size,
    )
    return score(predictor, built.validation, outputs=("boxes",))


if __name__ == "__main__":
    main()
