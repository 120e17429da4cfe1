"""Whole runs through the command line: train, stop, kill, resume, evaluate, predict."""

import json
import signal
import time

import pytest
import torch
from PIL import Image

from geodet import cli
from geodet.engine import read_metrics
from geodet.recipes import load_recipe
from geodet.weights import read_tensors


def test_training_without_a_config_leaves_a_whole_run_folder(trained):
    """Table on stdout; recipe, numbers, checkpoints, weights, evaluation, pictures on the disk."""
    folder, output, errors = trained
    assert output.count("Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all") == 2
    assert output.splitlines()[-1] == "run folder: runs/default"
    assert "step 6/6" in errors
    names = {path.name for path in folder.iterdir() if not path.name.startswith("events.")}
    assert names == {
        "recipe.json",
        "metrics.jsonl",
        "checkpoints",
        "model.safetensors",
        "model.json",
        "evaluation.json",
        "pictures",
    }
    assert list(folder.glob("events.*"))
    assert len(list((folder / "pictures").glob("*.png"))) == 1
    assert [path.name for path in sorted((folder / "checkpoints").iterdir())] == [
        "step_000004",
        "step_000006",
    ]
    lines = read_metrics(folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6, 6]
    assert {"loss/masks", "loss/rpn_boxes", "learning_rate"} <= set(lines[0])
    assert "validation/masks/AP" in lines[-1]


def test_evaluating_the_run_gives_the_numbers_of_training(trained, run_command, tmp_path):
    """`evaluate` needs the folder alone, and repeats what training found, digit by digit."""
    folder, *_ = trained
    code, output, errors = run_command("evaluate", folder, "--json", cwd=tmp_path)
    assert code == 0, errors
    assert json.loads(output) == json.loads((folder / "evaluation.json").read_text())


def test_recipe_json_is_a_config(trained):
    """The recipe in the run folder gives back the recipe that was trained."""
    folder, *_ = trained
    recipe = load_recipe(folder / "recipe.json")
    assert recipe.steps == 6
    assert load_recipe(folder) == recipe


def test_predicting_writes_pictures_and_coco_rows(trained, run_command, tmp_path):
    """Files and folders are taken; a file that is no image is named, the rest is done."""
    folder, *_ = trained
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, size in (("a.png", (80, 50)), ("b.jpg", (40, 90))):
        Image.new("RGB", size, (10, 200, 30)).save(photos / name)
    (photos / "broken.png").write_bytes(b"no image")
    code, output, errors = run_command(
        "predict", folder, photos, "--out", tmp_path / "out", "--score", "0", "--json", cwd=tmp_path
    )
    assert code == 1
    assert "Traceback" not in errors
    summary = json.loads(output)
    assert len(summary["skipped"]) == 1
    assert "broken.png" in summary["skipped"][0]
    for name, size in (("a.png", (80, 50)), ("b.png", (40, 90))):
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.size == size
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert len(rows) == summary["objects"]
    for row in rows:
        width, height = {"a.png": (80, 50), "b.jpg": (40, 90)}[row["image_id"]]
        assert 1 <= row["category_id"] <= 7  # ids of the shapes data start at 1
        left, top, box_width, box_height = row["bbox"]
        assert left >= 0
        assert top >= 0
        assert left + box_width <= width + 1e-3
        assert top + box_height <= height + 1e-3
        assert row["segmentation"]["size"] == [height, width]


def test_a_killed_run_resumes_to_the_same_weights(run_command, start_command, small, tmp_path):
    """Kill -9 after a checkpoint, resume: weights and evaluation of the run nobody killed."""
    steps = ["--set", "steps=12"]
    code, _, errors = run_command("train", *small, *steps, "--out", "whole", cwd=tmp_path)
    assert code == 0, errors
    process = start_command("train", *small, *steps, "--out", "killed", cwd=tmp_path)
    wait_for(tmp_path / "killed" / "checkpoints" / "step_000002", process)
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    code, _, errors = run_command("train", "--resume", "killed", cwd=tmp_path)
    assert code == 0, errors
    whole, resumed = (
        read_tensors(tmp_path / name / "model.safetensors") for name in ("whole", "killed")
    )
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    one, other = ((tmp_path / name / "evaluation.json").read_text() for name in ("whole", "killed"))
    assert one == other


def test_sigterm_stops_cleanly_and_says_how_to_go_on(start_command, run_command, small, tmp_path):
    """The checkpoint of the last step is there; the weights in it can be used at once."""
    process = start_command(
        "train", *small, "--set", "steps=5000", "--out", "stopped", cwd=tmp_path
    )
    wait_for(tmp_path / "stopped" / "checkpoints" / "step_000002", process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "--resume stopped" in errors
    assert "Traceback" not in errors
    code, output, errors = run_command("evaluate", "stopped", cwd=tmp_path)
    assert code == 0, errors
    assert "Average Precision" in output


@pytest.mark.slow
def test_two_processes_run_to_the_end(run_command, small, tmp_path):
    """Under torchrun the run writes one folder, and evaluates every image once."""
    code, output, errors = run_command(
        "train", *small, "--set", "steps=2", "--out", "two", cwd=tmp_path, processes=2
    )
    assert code == 0, errors
    assert output.count("run folder: two") == 1
    assert json.loads((tmp_path / "two" / "evaluation.json").read_text())["num_images"] == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--set", "stepz=3"], 2, "no field 'stepz'; did you mean 'steps'"),
        (["train", "missing.py"], 2, "config missing.py: no such file"),
        (["train", "--set", "model.num_classes=80"], 2, "model.num_classes: expected 7"),
        (["train", "--set", "model.backbone.norm=frozen"], 2, "model.backbone.weights: needed"),
        (["train", "--set", "device=cuda:77"], 1, "device: "),
        (["train", "--resume", "nowhere"], 1, "--resume nowhere: no whole checkpoint"),
        (["evaluate", "nowhere"], 1, "nowhere: expected a run folder"),
        (["predict", "nowhere", "a.jpg"], 1, "a.jpg: no such file or folder"),
    ],
)
def test_mistakes_are_one_message(arguments, code, message, *, tmp_path, monkeypatch, capsys):
    """No traceback; exit code 2 for recipe and usage, 1 for the rest; nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not captured.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_help_shows_examples(command, capsys):
    """Each command explains itself under the name it was called by."""
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: geodet {command}")
    assert f"python -m geodet.{command}" in text


def test_weights_of_another_model_are_a_table(trained, tmp_path, monkeypatch, capsys):
    """A recipe that does not fit the weights is one table of what differs."""
    folder, *_ = trained
    monkeypatch.chdir(tmp_path)
    assert cli.main(["evaluate", str(folder), "--set", "model.backbone.width=16"]) == 1
    text = capsys.readouterr().err
    assert "nothing was loaded" in text
    assert "of another shape" in text
    assert "backbone.bottom_up" in text


def wait_for(path, process):
    """Wait until a file is there, or the process has died."""
    for _ in range(2400):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")
