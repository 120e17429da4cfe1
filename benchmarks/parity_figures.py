"""How close predictions are to those that Detectron2 made of the same weights and picture."""

import json

import attrs
import numpy as np
import torch

from geodet.evaluation import PanopticEvaluator
from geodet.inference import Predictor
from geodet.structures import (
    Boxes,
    PanopticSegmentation,
    RleMasks,
    ScenePrediction,
    Segment,
)

THINGS, STUFF = 80, 53


@attrs.frozen(kw_only=True)
class Figures:
    """Figures of one architecture; None where it has no such output.

    Args:
        features: largest error of any sampled value over the largest value of its level.
        matched: share of detections matched one to one: same class, IoU above 0.99, score
            within 1e-3; of the side with fewer matches.
        detections: Detectron2's and ours.
        masks: share of matched masks of IoU above 0.99.
        keypoints: share of points of matched objects within 0.1 pixel.
        semantic: share of pixels of equal class.
        pq: panoptic quality of our scene against Detectron2's.
    """

    features: float
    matched: float | None = None
    detections: tuple[int, int] | None = None
    masks: float | None = None
    keypoints: float | None = None
    semantic: float | None = None
    pq: float | None = None


def measure(model, expected, picture):
    """Predict `picture` and compare with the arrays of `expected`."""
    seen = {}
    hooks = [
        module.register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: output})
        )
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == "backbone"
    ]
    try:
        found = Predictor(model, masks="rle")(picture)
    finally:
        for hook in hooks:
            hook.remove()
    maps = next(output for name, output in seen.items() if name.endswith("backbone"))
    figures = {"features": feature_error(maps, expected)}
    instances = found.instances if isinstance(found, ScenePrediction) else found
    rows = match(instances, expected)
    counts = len(expected["boxes"]), len(instances)
    figures |= {"detections": counts, "matched": len(rows) / max(*counts, 1)}
    if "mask_rle" in expected:
        figures["masks"] = mask_share(instances, expected, rows)
    if "keypoints" in expected:
        figures["keypoints"] = keypoint_share(instances, expected, rows)
    if isinstance(found, ScenePrediction):
        wanted = torch.from_numpy(expected["sem_seg_argmax"].astype(np.int64))
        classes = found.semantic.to_semantic_map().labels
        figures["semantic"] = float((classes == wanted).float().mean())
        figures["pq"] = quality(found.panoptic, expected)
    return Figures(**figures)


def feature_error(maps, expected):
    """Largest error over the largest value, of any level that both have."""
    errors = []
    for level, values in maps.items():
        if f"feature/{level}/sample" not in expected:
            continue
        wanted = expected[f"feature/{level}/sample"]
        if list(values.shape) != list(expected[f"feature/{level}/shape"]):
            raise ValueError(f"{level}: {list(values.shape)}")
        flat = values.flatten()
        sample = flat[:: max(1, flat.numel() // 2000)][:2000].numpy()
        errors.append(float(np.abs(sample - wanted).max() / np.abs(wanted).max()))
    if not errors:
        raise ValueError(f"no level in common: {list(maps)}")
    return max(errors)


def match(instances, expected):
    """Pairs (row of Detectron2's, row of ours), best scores first, each row once."""
    wanted = Boxes(torch.from_numpy(expected["boxes"]))
    overlaps = wanted.pairwise_iou(instances.boxes)
    labels = torch.from_numpy(expected["classes"])
    scores = torch.from_numpy(expected["scores"])
    near = (labels[:, None] == instances.labels) & (overlaps > 0.99)
    near &= (scores[:, None] - instances.scores).abs() < 1e-3
    free = torch.ones(len(instances), dtype=torch.bool)
    pairs = []
    for row in scores.argsort(descending=True).tolist():
        open_to = near[row] & free
        if bool(open_to.any()):
            column = int(torch.where(open_to, overlaps[row], -1.0).argmax())
            free[column] = False
            pairs.append((row, column))
    return pairs


def mask_share(instances, expected, rows):
    """Share of matched masks with IoU above 0.99."""
    size = instances.image_size
    records = [
        {"size": list(size.as_tuple()), "counts": str(expected["mask_rle"][row])} for row, _ in rows
    ]
    wanted = RleMasks.from_coco(records, size)
    found = instances.masks[torch.tensor([column for _, column in rows])]
    overlaps = wanted.pairwise_iou(found).diagonal()
    # Masks without a pixel on either side are equal.
    empty = (wanted.area() == 0) & (found.area() == 0)
    return float(((overlaps > 0.99) | empty).float().mean())


def keypoint_share(instances, expected, rows):
    """Share of the points of matched objects that lie within a tenth of a pixel."""
    wanted = torch.from_numpy(expected["keypoints"][[row for row, _ in rows]])
    found = instances.keypoints.xyv[[column for _, column in rows]]
    apart = (found[..., :2] - wanted[..., :2]).norm(dim=-1)
    return float((apart < 0.1).float().mean())


def quality(scene, expected):
    """Panoptic quality against Detectron2's scene, whose stuff is numbered from 1."""
    segments = [
        Segment(
            info["id"],
            info["category_id"] if info["isthing"] else THINGS + info["category_id"] - 1,
            is_thing=info["isthing"],
        )
        for info in json.loads(str(expected["panoptic_info"]))
    ]
    truth = PanopticSegmentation(torch.from_numpy(expected["panoptic"]), segments)
    evaluator = PanopticEvaluator(num_classes=THINGS + STUFF, things=range(THINGS))
    evaluator.update(0, scene, truth)
    return evaluator.result().pq
