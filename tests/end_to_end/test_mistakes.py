"""Mistakes of users, through the commands: nothing that was saved is lost."""

import json

import pytest
from PIL import Image

from geodet import cli
from geodet.predict import _list_images, _picture_paths


@pytest.fixture
def photos(tmp_path):
    """Files of equal names in two folders, and of equal stems in one."""
    for name in ("a/x.png", "a/x.bmp", "b/x.png", "b/y.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (10, 200, 30)).save(path)
    return tmp_path / "photos"


def snapshot(folder):
    """Every file of a run with its content, event files apart."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "tfevents" not in path.name
    }


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("model.backbone.width=16", 1, "nothing was loaded"),
        ("batch_size=3", 1, "batch_size was 2, is 3"),
        ("steps=3", 2, "steps: expected 6 or more"),
    ],
)
def test_a_resume_that_does_not_fit_leaves_the_run_as_it_was(
    change, code, message, *, trained, capsys
):
    """Recipe, checkpoints, weights and numbers of the good run are untouched."""
    folder, *_ = trained
    before = snapshot(folder)
    assert cli.main(["train", "--resume", str(folder), "--set", change]) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert not captured.out
    assert snapshot(folder) == before


def test_no_two_pictures_share_a_file(photos, tmp_path):
    """Equal names get their folder, equal stems their suffix; ids are distinct, too."""
    files = _list_images([photos / "a", photos / "b", photos / "a" / "x.bmp"])
    names = [name for name, _ in files]
    assert names == ["x.bmp", "a/x.png", "b/x.png", "y.jpg"]
    pictures = _picture_paths(files, tmp_path / "out")
    assert [path.name for path in pictures.values()] == [
        "x.png",
        "a_x.png",
        "b_x.png",
        "y.png",
    ]
    one = _list_images([photos / "a"])
    assert {path.name for path in _picture_paths(one, tmp_path).values()} == {
        "x.png.png",
        "x.bmp.png",
    }


def test_predict_never_overwrites_the_images_given(photos, trained, capsys):
    """With --out in the folder of the images, nothing is written at all."""
    (photos / "a" / "x.bmp").unlink()
    content = (photos / "a" / "x.png").read_bytes()
    folder, *_ = trained
    code = cli.main(["predict", str(folder), str(photos / "a"), "--out", str(photos / "a")])
    assert code == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert (photos / "a" / "x.png").read_bytes() == content
    assert [path.name for path in (photos / "a").iterdir()] == ["x.png"]


def test_a_score_that_is_no_number_is_named(capsys):
    """The message speaks of numbers, not of our functions."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["predict", "run", "image", "--score", "high"])
    assert caught.value.code == 2
    assert "expected a number from 0 to 1, got high" in capsys.readouterr().err


def test_evaluate_finds_out_before_the_work_that_it_cannot_write(trained, tmp_path, capsys):
    """--out below a file fails at once, before any image is predicted."""
    (tmp_path / "file").write_text("")
    folder, *_ = trained
    out = str(tmp_path / "file" / "numbers.json")
    assert cli.main(["evaluate", str(folder), "--out", out]) == 1
    captured = capsys.readouterr()
    assert str(tmp_path / "file") in captured.err
    assert "images on" not in captured.err


def test_data_without_an_image_and_bad_entries_are_explained(tmp_path, capsys):
    """An empty list is called empty; broken entries come with the option that skips them."""
    data = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "none.json").write_text(json.dumps(data))
    Image.new("RGB", (40, 30)).save(tmp_path / "x.png")
    data["images"] = [{"id": 1, "file_name": "x.png", "width": 40, "height": 30}]
    data["annotations"] = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 0, 5]}]
    (tmp_path / "zero.json").write_text(json.dumps(data))

    def train(name):
        recipe = {"type": "CocoRecipe", "root": str(tmp_path)}
        recipe |= {"train_images": ".", "val_images": "."}
        recipe |= {"train_annotations": name, "val_annotations": name}
        code = cli.main(["train", "--set", f"data={json.dumps(recipe)}", "--out", str(tmp_path)])
        return code, capsys.readouterr().err

    code, errors = train("none.json")
    assert code == 1
    assert "expected at least one training image, got none" in errors
    assert "none.json" in errors
    code, errors = train("zero.json")
    assert code == 1
    assert "annotations[0] (id 1, image 1 'x.png'): bbox: expected a positive width" in errors
    assert "--set data.on_bad=skip" in errors
