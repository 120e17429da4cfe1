"""A run of images that no anchor or cell learns from is said aloud, with their ids."""

import json
from pathlib import Path

import attrs
import pytest
from PIL import Image

from geodet import cli
from geodet.recipes import (
    BoxHeadRecipe,
    CocoRecipe,
    FcosRecipe,
    RcnnRecipe,
    ResNetFpnRecipe,
    RetinaNetRecipe,
    default_recipe,
    to_text,
)

BACKBONE = ResNetFpnRecipe(depth=18, width=8, fpn_channels=16)
MODELS = {
    "rpn_positive": RcnnRecipe(backbone=BACKBONE, box_head=BoxHeadRecipe(fc_features=(16,))),
    "dense_positive": RetinaNetRecipe(backbone=BACKBONE, head_convs=1),
    "dense_positive of FCOS": FcosRecipe(backbone=BACKBONE, head_convs=1),
}


def empty_data(folder: Path) -> CocoRecipe:
    """Pictures of nothing, and an annotation file that says so."""
    images = []
    for image_id in (17, 23, 42, 99):
        Image.new("RGB", (128, 128), (image_id, 90, 120)).save(folder / f"{image_id}.png")
        images.append({"id": image_id, "file_name": f"{image_id}.png", "height": 128, "width": 128})
    truth = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
    (folder / "truth.json").write_text(json.dumps(truth))
    here = Path()
    return CocoRecipe(
        root=folder,
        train_images=here,
        val_images=here,
        train_annotations=Path("truth.json"),
        val_annotations=Path("truth.json"),
        short_edges=(128,),
        test_short_edge=128,
    )


@pytest.mark.parametrize("count", MODELS)
def test_a_run_without_positives_warns_with_the_images(count, tmp_path, monkeypatch, capsys):
    """Proposals and one-stage detectors alike: steps, count, image ids, and what to look at."""
    recipe = attrs.evolve(
        default_recipe(),
        model=MODELS[count],
        data=empty_data(tmp_path),
        steps=2,
        batch_size=2,
        log_every=2,
        evaluate_every=None,
        num_workers=0,
        pictures=0,
        precision="fp32",
        device="cpu",
    )
    (tmp_path / "recipe.json").write_text(to_text(recipe))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "recipe.json", "--out", "run"]) == 0
    errors = capsys.readouterr().err

    name = count.split()[0]
    assert f"warning: steps 1 to 2: {name} is 0 in images" in errors
    for image_id in (17, 23, 42, 99):
        assert str(image_id) in errors.split("is 0 in images")[1].splitlines()[0]
    assert errors.count("warning:") == 1
