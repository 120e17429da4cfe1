"""Predictions on the disk: pictures, COCO result rows, panoptic and semantic PNG files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from geodet.inference import Prediction, to_coco_results
from geodet.recipes.loaded_model import LoadedModel
from geodet.structures import (
    Instances,
    PanopticSegmentation,
    ScenePrediction,
    SemanticMap,
    SemanticScores,
)
from geodet.visualize import draw_instances, draw_panoptic, draw_semantic, save_image

__all__ = ["ResultFiles"]

_MOST_BYTE = 255


class ResultFiles:
    """Writes what a model predicts, picture by picture.

    The folder receives one picture an image; `predictions.json`, COCO result rows of all objects;
    for scenes `panoptic/` with a PNG file an image in COCO's format and `panoptic.json` beside it;
    for classes of pixels `semantic/` with a PNG file of class numbers an image.

    Args:
        folder: made when missing.
        loaded: whose classes are written.
        score: weaker objects are left out.
    """

    def __init__(self, folder: Path, loaded: LoadedModel, *, score: float) -> None:
        self._folder = folder
        self._loaded = loaded
        self._score = score
        self._names = (*loaded.label_map.names, *loaded.stuff.names)
        self.rows: list[dict[str, Any]] = []
        self._scenes: list[dict[str, Any]] = []
        self._has_objects = True
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, picture: Path, image: Tensor, found: Prediction) -> str:
        """Write what was found in an image.

        Args:
            name: of the image, its id in the files.
            picture: where the drawn picture goes; other files have its stem.
            image: uint8 [3, h, w].
            found: of this image.
        Returns:
            A few words for the screen.
        """
        if isinstance(found, ScenePrediction):
            instances = self._add_objects(name, found.instances)
            scene = found.panoptic
            save_image(draw_panoptic(image, scene, class_names=self._names), picture)
            self._add_scene(name, picture.stem, scene)
            return f"{len(instances)} objects, {len(scene.segments)} segments"
        if isinstance(found, SemanticScores):
            self._has_objects = False
            classes = found.to_semantic_map()
            save_image(draw_semantic(image, classes, class_names=self._names), picture)
            self._add_classes(picture.stem, classes)
            return f"{len(classes.classes())} classes"
        instances = self._add_objects(name, found)
        drawn = draw_instances(image, instances, class_names=self._loaded.label_map.names)
        save_image(drawn, picture)
        return f"{len(instances)} objects"

    def finish(self) -> list[Path]:
        """Write the files about all images.

        Returns:
            The files, the one with the objects first.
        """
        files = []
        if self._has_objects:
            files.append(self._write("predictions.json", self.rows))
        if self._scenes:
            files.append(self._write("panoptic.json", {"annotations": self._scenes}))
        return files

    def _add_objects(self, name: str, instances: Instances) -> Instances:
        if instances.scores is not None:
            instances = instances[instances.scores >= self._score]
        self.rows += to_coco_results(name, instances, self._loaded.label_map)
        return instances

    def _add_scene(self, name: str, stem: str, scene: PanopticSegmentation) -> None:
        rgb, segments = scene.to_coco(category_ids=self._loaded.category_ids)
        file = self._folder / "panoptic" / f"{stem}.png"
        save_image(rgb, file)
        self._scenes.append({"image_id": name, "file_name": file.name, "segments_info": segments})

    def _add_classes(self, stem: str, classes: SemanticMap) -> None:
        labels = classes.labels.cpu()
        folder = self._folder / "semantic"
        folder.mkdir(exist_ok=True)
        deep = int(labels.max()) >= _MOST_BYTE
        # Pixels without a class get the highest number, as in most data sets.
        values = torch.where(labels < 0, 65535 if deep else _MOST_BYTE, labels).numpy()
        pixels = Image.fromarray(values.astype(np.uint16 if deep else np.uint8))
        pixels.save(folder / f"{stem}.png")

    def _write(self, name: str, value: object) -> Path:
        path = self._folder / name
        path.write_text(json.dumps(value) + "\n", "utf-8")
        return path
