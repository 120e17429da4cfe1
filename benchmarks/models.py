"""Mask R-CNN R50-FPN of geodet and of torchvision: seconds an image and memory, on the CPU.

Each side runs alone in a process of its own, the sides in turn, round after round: a detector
holds gigabytes, and what one leaves in the allocator changes the other's time. Same architecture,
random weights, one 800 x 1216 image, each model as it comes. The box branches are zeroed so that
proposals are spread like anchors, and the score threshold lets about 2,000 candidates pass.

    python benchmarks/models.py                         # inference, two threads
    python benchmarks/models.py --train --rounds 2
"""

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import nn
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.ops import FrozenBatchNorm2d

from geodet import BitMasks, Boxes, ImageSize, Instances
from geodet.inference import keep_freed_memory
from geodet.models import fold_norms, zoo

HEIGHT, WIDTH, OBJECTS = 800, 1216, 20
SIDES = ("geodet", "torchvision")


def torchvision_side(*, training):
    """torchvision's model with its inputs, frozen as Detectron2 and geodet freeze theirs."""
    model = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=81, min_size=800, max_size=1333
    )
    body = model.backbone.body
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, FrozenBatchNorm2d(child.num_features))
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(not name.startswith(("conv1", "layer1")))
    model.rpn.head.bbox_pred.weight.data.zero_()
    model.roi_heads.box_predictor.bbox_pred.weight.data.zero_()
    model.roi_heads.score_thresh = 0.0125
    image, boxes, labels, masks = scene()
    inputs = [[image.float() / 255]]
    if training:
        inputs.append([{"boxes": boxes, "labels": labels + 1, "masks": masks.to(torch.uint8)}])
    return model, inputs


def geodet_side(*, training):
    """geodet's model with its inputs."""
    keep_freed_memory()
    model = zoo.mask_rcnn_r50_fpn()
    model.proposals.head.deltas.weight.data.zero_()
    model.box_head.predictor.deltas.weight.data.zero_()
    model.box_head.score_threshold = 0.0125
    image, boxes, labels, masks = scene()
    inputs = [[image]]
    if training:
        size = ImageSize(HEIGHT, WIDTH)
        truth = Instances(size, boxes=Boxes(boxes), labels=labels, masks=BitMasks(masks))
        inputs.append([truth])
    return model, inputs


def scene():
    """One image of noise with objects: image, boxes, labels, masks."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, HEIGHT, WIDTH), dtype=torch.uint8, generator=generator)
    corners = torch.rand(OBJECTS, 2, generator=generator) * torch.tensor([1000.0, 600.0])
    sides = torch.rand(OBJECTS, 2, generator=generator) * 150 + 40
    boxes = torch.cat([corners, corners + sides], dim=1)
    labels = torch.randint(0, 80, (OBJECTS,), generator=generator)
    masks = torch.zeros(OBJECTS, HEIGHT, WIDTH, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    return image, boxes, labels, masks


def run_alone(side, options):
    """Median seconds and peak memory of one side, in this process."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    make = geodet_side if side == "geodet" else torchvision_side
    model, inputs = make(training=options.train)
    model.train(options.train)
    if options.channels_last:
        model.to(memory_format=torch.channels_last)
    if options.folded and side == "geodet":
        model = fold_norms(model)
    times = []
    for _ in range(options.runs + 1):
        begin = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bf16):
            if options.train:
                losses = model(*inputs)
            else:
                with torch.inference_mode():
                    model(*inputs)
        if options.train:
            sum(losses.values()).backward()
            model.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(statistics.median(times[1:]), peak)


def measure(side):
    """Median seconds and peak MiB of one side, in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--alone", side]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
    median, peak = done.stdout.split()
    return round(float(median), 3), float(peak)


def main():
    """Run both sides in turn and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", action="store_true", help="forward and backward pass")
    parser.add_argument("--bf16", action="store_true", help="under bfloat16 autocast, both")
    parser.add_argument("--channels-last", action="store_true", help="weights too, both")
    parser.add_argument("--folded", action="store_true", help="geodet with its norms folded")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=7, help="timed runs of a process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side")
    parser.add_argument("--alone", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        run_alone(options.alone, options)
        return
    runs = [(side, *measure(side)) for _ in range(options.rounds) for side in SIDES]
    print(f"torch {torch.__version__}, {options.threads} threads, {platform.machine()}")
    medians = {}
    for wanted in SIDES:
        seconds = [median for side, median, _ in runs if side == wanted]
        peak = max(peak for side, _, peak in runs if side == wanted)
        medians[wanted] = statistics.median(seconds)
        print(f"{wanted:12} {medians[wanted]:6.2f} s  peak {peak:.0f} MiB  {seconds}")
    print(f"torchvision / geodet: {medians['torchvision'] / medians['geodet']:.2f}x")


if __name__ == "__main__":
    main()
