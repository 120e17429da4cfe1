"""Recipes through text: what is written comes back, what does not fit is named by its path."""

import json
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodet.errors import RecipeError
from geodet.recipes import (
    AdamW,
    CocoRecipe,
    Cosine,
    FcosRecipe,
    MaskHeadRecipe,
    MultiStep,
    RcnnRecipe,
    ResNetFpnRecipe,
    RetinaNetRecipe,
    Sgd,
    ShapesRecipe,
    TrainRecipe,
    apply_overrides,
    default_recipe,
    from_text,
    load_recipe,
    to_text,
)

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

positive = st.floats(1e-6, 1e3)
backbones = st.builds(
    ResNetFpnRecipe,
    depth=st.sampled_from([18, 34, 50, 101, 152]),
    norm=st.sampled_from(["batch", "group", "frozen"]),
    weights=st.none() | st.just(Path("weights/a.safetensors")),
)
recipes = st.builds(
    TrainRecipe,
    model=st.builds(
        RcnnRecipe,
        backbone=backbones,
        num_classes=st.none() | st.integers(1, 99),
        mask_head=st.none() | st.builds(MaskHeadRecipe),
    )
    | st.builds(RetinaNetRecipe, backbone=backbones, rotated=st.booleans())
    | st.builds(FcosRecipe, backbone=backbones),
    data=st.builds(ShapesRecipe, flip=st.floats(0, 1))
    | st.builds(
        CocoRecipe,
        root=st.just(Path("a/b")),
        max_long_edge=st.none() | st.integers(1, 9999),
        short_edges=st.lists(st.integers(1, 2000), min_size=1, max_size=4).map(tuple),
    ),
    optimizer=st.builds(Sgd, lr=positive, nesterov=st.booleans()) | st.builds(AdamW, lr=positive),
    schedule=st.builds(Cosine, final=st.floats(0, 1))
    | st.builds(
        MultiStep, milestones=st.sets(st.integers(1, 99), min_size=1).map(sorted).map(tuple)
    ),
    steps=st.integers(1, 10**6),
    batch_size=st.integers(1, 64),
    clip_norm=st.none() | positive,
    precision=st.sampled_from(["fp32", "bf16"]),
)


@given(recipes)
def test_text_gives_back_an_equal_recipe(recipe):
    """Writing and reading changes nothing, to the last digit."""
    assert from_text(to_text(recipe)) == recipe


@given(recipes)
def test_no_override_changes_nothing(recipe):
    """Without overrides the recipe stays as it is."""
    assert apply_overrides(recipe, []) == recipe


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_every_config_is_a_valid_recipe(path):
    """Each file in configs/ loads, and its text gives the same recipe again."""
    recipe = load_recipe(path)
    assert from_text(to_text(recipe)) == recipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"optimizer": {"type": "AdamW", "lr": "0.1"}},
            "optimizer.lr: expected a number, got '0.1'",
        ),
        ({"optimizer": {"type": "AdamW", "lr": -1}}, "optimizer.lr: expected a number above 0"),
        ({"optimizer": {"type": "AdamW"}}, "optimizer.lr: required, and missing"),
        ({"optimizer": {"type": "AdamV", "lr": 1}}, "optimizer.type: .* did you mean 'AdamW'"),
        ({"optimizer": {"lr": 1}}, "optimizer.type: expected one of 'Sgd', 'AdamW', got None"),
        ({"optimizer": 3}, "optimizer: expected an object"),
        ({"stepz": 3}, "stepz: unknown field of TrainRecipe; did you mean 'steps'"),
        ({"steps": 1.5}, "steps: expected a whole number, got 1.5"),
        ({"steps": True}, "steps: expected a whole number, got True"),
        ({"steps": None}, "steps: expected a whole number, got None"),
        ({"channels_last": 1}, "channels_last: expected true or false, got 1"),
        ({"precision": "bf17"}, "precision: .* did you mean 'bf16'"),
        ({"clip_norm": 0}, "clip_norm: expected a number above 0"),
        (
            {"schedule": {"type": "MultiStep", "milestones": [1, "x"]}},
            r"schedule.milestones\[1\]: expected a whole number, got 'x'",
        ),
        (
            {"schedule": {"type": "MultiStep", "milestones": 7}},
            "schedule.milestones: expected a list",
        ),
        (
            {"schedule": {"type": "MultiStep", "milestones": [9, 3]}},
            "schedule.milestones: expected asc",
        ),
        (
            {"model": {"type": "RcnnRecipe", "backbone": 3}},
            "model.backbone: expected an object with 'type', got 3",
        ),
        ({"data": {"type": "CocoRecipe", "root": 3}}, "data.root: expected a path as text"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    """Unknown keys, wrong types and bad choices: the path, the finding, the nearest name."""
    data = json.loads(to_text(default_recipe())) | change
    with pytest.raises(RecipeError, match=message) as caught:
        from_text(json.dumps(data), source="x.json")
    assert str(caught.value).startswith("x.json: ")


def test_several_mistakes_are_all_named():
    """One reading finds them all."""
    data = json.loads(to_text(default_recipe()))
    data["model"]["backbone"]["depht"] = 18
    data["model"]["rpn"]["nms_threshold"] = 2
    data["batch_size"] = "x"
    with pytest.raises(RecipeError) as caught:
        from_text(json.dumps(data))
    text = str(caught.value)
    for path in (
        "model.backbone.depht: unknown",
        "model.rpn.nms_threshold: exp",
        "batch_size: exp",
    ):
        assert path in text


def test_text_that_is_no_json_is_one_message():
    """Neither JSON nor an object: an error, not a crash."""
    with pytest.raises(RecipeError, match="not JSON"):
        from_text("{")
    with pytest.raises(RecipeError):
        from_text("[]")


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("optimizer.lr=0.01", "optimizer.lr", 0.01),
        ("optimizer.lr=.01", "optimizer.lr", 0.01),
        ("optimizer.lr=1", "optimizer.lr", 1.0),
        ("steps=7", "steps", 7),
        ("clip_norm=null", "clip_norm", None),
        ("evaluate_every=None", "evaluate_every", None),
        ("channels_last=true", "channels_last", True),
        ("precision=bf16", "precision", "bf16"),
        ("device=cuda:1", "device", "cuda:1"),
        ("model.backbone.depth=34", "model.backbone.depth", 34),
        (
            "model.backbone.weights=a/1.safetensors",
            "model.backbone.weights",
            Path("a/1.safetensors"),
        ),
        ("model.box_head.fc_features=64,32", "model.box_head.fc_features", (64, 32)),
        ("model.box_head.fc_features=[64]", "model.box_head.fc_features", (64,)),
        ("model.box_head.fc_features=64", "model.box_head.fc_features", (64,)),
        ("schedule=Cosine", "schedule", Cosine()),
        ('optimizer={"type": "Sgd", "lr": 0.5}', "optimizer", Sgd(lr=0.5)),
    ],
)
def test_overrides_are_read_by_the_type_of_the_field(override, path, value):
    """The one field changes, to a value of its type, and nothing else."""
    recipe = default_recipe()
    changed = apply_overrides(recipe, [override])
    found = changed
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)
    top = path.split(".")[0]
    assert attrs.evolve(changed, **{top: getattr(recipe, top)}) == recipe


def test_a_replaced_part_can_be_changed_further():
    """Overrides build on each other, in order; the tag decides which fields there are."""
    recipe = apply_overrides(
        default_recipe(), ["schedule=MultiStep", "schedule.milestones=3,5", "steps=9"]
    )
    assert recipe.schedule == MultiStep(milestones=(3, 5))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr", "expected path.to.field=value"),
        ("optimiser.lr=1", "no field 'optimiser'; did you mean 'optimizer'"),
        ("optimizer.learning=1", r"optimizer \(AdamW\) has no field 'learning'"),
        ("steps.a=1", "steps has no fields inside"),
        ("steps=many", "steps: expected a whole number, got 'many'"),
        ("steps=1.5", "steps: expected a whole number, got 1.5"),
        ("precision=fp16", "precision: expected one of 'fp32', 'bf16', got 'fp16'"),
        ("model.backbone.depth=19", "model.backbone.depth: expected one of 18"),
        ("schedule=Linear", "schedule.type: expected one of"),
        ("optimizer=Sgd", "optimizer.lr: required"),
    ],
)
def test_wrong_overrides_are_one_clear_message(override, message):
    """No such field, or a value that it cannot take."""
    with pytest.raises(RecipeError, match=message):
        apply_overrides(default_recipe(), [override])


def test_configs_that_are_none_are_refused(tmp_path):
    """A missing file, another kind of file, a file without `recipe()`, one that gives no recipe."""
    for name, content, message in [
        ("missing.py", None, "no such file"),
        ("a.yaml", "a: 1", "expected a .py or .json"),
        ("empty.py", "", "def recipe"),
        ("wrong.py", "def recipe():\n    return 3\n", "must return a TrainRecipe, got int"),
    ]:
        path = tmp_path / name
        if content is not None:
            path.write_text(content)
        with pytest.raises(RecipeError, match=message):
            load_recipe(path)


def test_wrong_types_in_python_are_found(tmp_path):
    """Python checks no types, so a config's recipe is checked before the run."""
    path = tmp_path / "c.py"
    path.write_text(
        "import attrs\nfrom geodet.recipes import default_recipe\n"
        "def recipe():\n    return attrs.evolve(default_recipe(), precision='fp8')\n"
    )
    with pytest.raises(RecipeError, match="precision: expected one of"):
        load_recipe(path)
