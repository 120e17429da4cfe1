"""Counts of the model in the reports, and the warning when one stays zero."""

import pytest
import torch

from geodet.engine import StepReport, WatchCount, read_metrics


def report(step, positive, image_ids=("a",)):
    """A step's report with one count."""
    return StepReport(
        step=step,
        losses={"x": 1.0},
        total=1.0,
        learning_rate=0.1,
        gradient_norm=1.0,
        image_ids=tuple(image_ids),
        images=1,
        data_seconds=0.0,
        step_seconds=1.0,
        counts={} if positive is None else {"positive": positive},
    )


@pytest.mark.parametrize(
    ("counts", "warnings"),
    [
        ([0, 0, 0], 1),
        ([0, 0, 5, 0, 0], 0),
        ([0] * 6, 2),
        ([None] * 9, 0),
        ([1, 0, 0, 0], 1),
    ],
)
def test_a_count_that_stays_zero_is_a_warning_with_the_images(counts, warnings):
    """Every three steps of zeros in a row give one warning that names their images."""
    said = []
    watch = WatchCount("positive", every=3, warn=said.append, advice="look at the anchors")
    for step, count in enumerate(counts, start=1):
        watch.after_step(None, report(step, count, [f"image {step}"]))
    assert len(said) == warnings
    for text in said:
        assert "positive is 0 in images 'image " in text
        assert text.endswith("look at the anchors")
        assert text.count("image ") == 3


def test_a_long_warning_is_cut():
    """Eight images are named, the others counted."""
    said = []
    watch = WatchCount("positive", every=1, warn=said.append, advice="do")
    watch.after_step(None, report(7, 0, range(20)))
    assert "steps 7 to 7" in said[0]
    assert "0, 1, 2, 3, 4, 5, 6, 7 and 12 more" in said[0]


def test_counts_of_the_model_are_in_the_metrics(tiny, tmp_path):
    """What a model counts in its losses is averaged like them and written beside them."""
    model = tiny.TinyModel()
    forward = model.forward

    def counting(images, targets):
        model.counts = {"images": torch.tensor(len(images)), "ones": torch.tensor(1)}
        return forward(images, targets)

    model.forward = counting
    tiny.build(tmp_path, 2, model=model).run()
    for line in read_metrics(tmp_path / "metrics.jsonl"):
        assert line["count/images"] == 4
        assert line["count/ones"] == 1
        assert line["loss"] == pytest.approx(line["loss/square"] + line["loss/absolute"])
