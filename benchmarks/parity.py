"""Every architecture that Detectron2's key lists describe, loaded, run and compared.

    python benchmarks/parity.py ../shared --only panoptic

The weights are drawn from the names and shapes of Detectron2's tensors, written as a file of its
layout, and loaded; predictions are compared with what Detectron2 made of the same weights.
"""

import argparse
import importlib.util
import json
import pickle
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from parity_figures import measure

from geodet.inference import Predictor
from geodet.interop.detectron2 import load_checkpoint
from geodet.models import zoo

# Names of Detectron2's key lists -> ours.
ARCHITECTURES = {
    "mask_rcnn_R_50_FPN": "mask_rcnn_r50_fpn",
    "faster_rcnn_R_50_C4": "faster_rcnn_r50_c4",
    "keypoint_rcnn_R_50_FPN": "keypoint_rcnn_r50_fpn",
    "panoptic_fpn_R_50": "panoptic_fpn_r50",
    "retinanet_R_50_FPN": "retinanet_r50_fpn",
    "cascade_mask_rcnn_R_50_FPN": "cascade_mask_rcnn_r50_fpn",
    "fcos_R_50_FPN": "fcos_r50_fpn",
    "mask_rcnn_R_50_C4": "mask_rcnn_r50_c4",
    "mask_rcnn_R_50_DC5": "mask_rcnn_r50_dc5",
    "mask_rcnn_R_50_FPN_dconv": "mask_rcnn_r50_fpn_dcn",
    "mask_rcnn_R_50_FPN_gn": "mask_rcnn_r50_fpn_gn",
    "mask_rcnn_R_50_LSJ": "mask_rcnn_r50_fpn_lsj",
    "mask_rcnn_X_101": "mask_rcnn_x101_fpn",
    "mask_rcnn_regnetx": "mask_rcnn_regnetx_4gf_fpn_lsj",
    "vitdet_b_mask": "mask_rcnn_vitdet_b",
}
PICTURE = "data/coco_mini/train2017/000000000790.jpg"


def draw_checkpoint(shared, name, folder):
    """A file of Detectron2's layout with drawn weights; its path and its tensors' number."""
    place = shared / "parity" / "weights.py"
    spec = importlib.util.spec_from_file_location("parity_weights", place)
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    keys = json.loads((shared / "parity" / "keys" / f"{name}.keys.json").read_text())
    path = Path(folder) / f"{name}.pkl"
    content = {"model": weights.state_dict(keys), "__author__": "parity"}
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path, len(keys)


def share(value):
    """A share for the table."""
    return "" if value is None else f"{100 * value:.2f} %"


def main() -> None:
    """Load, run and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder of key lists and expected outputs")
    parser.add_argument("--only", default="", help="part of an architecture's name")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        "| architecture | keys loaded | features | detections | matched | masks | keypoints "
        "| semantic | PQ | seconds |"
    )
    print("|---" * 10 + "|")
    for name, ours in ARCHITECTURES.items():
        if arguments.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path, count = draw_checkpoint(arguments.shared, name, folder)
            model = getattr(zoo, ours)()
            report = load_checkpoint(model, path)
        loaded = f"{len(report.loaded)} of {count}"
        picture = arguments.shared / PICTURE
        outputs = arguments.shared / "parity" / "expected" / f"{name}.npz"
        start = time.perf_counter()
        if outputs.is_file():
            found = measure(model, np.load(outputs), picture)
            cells = [
                f"{found.features:.1e}",
                "{} / {}".format(*found.detections),
                *map(share, (found.matched, found.masks, found.keypoints, found.semantic)),
                "" if found.pq is None else f"{found.pq:.4f}",
            ]
        else:
            instances = Predictor(model)(picture)
            cells = ["", f"- / {len(instances)}", "", "", "", "", ""]
        seconds = time.perf_counter() - start
        print("|", " | ".join([f"`{ours}`", loaded, *cells, f"{seconds:.1f}"]), "|", flush=True)


if __name__ == "__main__":
    main()
