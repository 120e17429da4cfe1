"""Detectron2's checkpoints into our models and back, of every layout its loader knows."""

import pickle

import numpy as np
import pytest
import torch

from geodet.errors import CheckpointError
from geodet.interop.detectron2 import load_checkpoint, save_checkpoint
from geodet.models import Preprocess, group_norm, mask_rcnn_fpn
from geodet.models.published import DETECTRON2, published_names

TRUNK = "backbone.bottom_up."


def small(**changes):
    """Mask R-CNN of bottlenecks, 8 channels wide."""
    options = {
        "num_classes": 2,
        "preprocess": Preprocess(
            channel_order="bgr", mean=(103.53, 116.28, 123.675), std=(1.0,) * 3, size_divisor=32
        ),
        "depth": 50,
        "width": 8,
        "fpn_channels": 8,
        "box_features": (8, 8),
        "mask_convs": (8, 8),
    }
    torch.manual_seed(1)
    return mask_rcnn_fpn(**{**options, **changes})


@pytest.fixture
def model():
    """The small one, its norms drawn at random too."""
    return randomised(small())


def randomised(model):
    """Every tensor drawn anew, so that none keeps its place by chance."""
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.1)
    return model


def arrays(model):
    """The model's weights under Detectron2's names."""
    names = published_names(model, DETECTRON2)
    return {names[name]: value.numpy().copy() for name, value in model.state_dict().items()}


def write(path, content):
    """A pickle of protocol 2, as old files are."""
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def assert_equal(model, wanted):
    """Every tensor of `model` is the one of that name in `wanted`."""
    found = model.state_dict()
    assert found.keys() == wanted.state_dict().keys()
    for name, value in wanted.state_dict().items():
        assert torch.equal(found[name], value), name


def test_a_file_of_the_zoo_loads_whole(model, tmp_path):
    """`.pkl` with "model" and "__author__"; buffers that no model needs are ignored."""
    content = arrays(model) | {
        "proposal_generator.anchor_generator.cell_anchors.0": np.zeros((3, 4), np.float32),
        "pixel_mean": np.float32([103.53, 116.28, 123.675]).reshape(3, 1, 1),
    }
    path = write(tmp_path / "zoo.pkl", {"model": content, "__author__": "Detectron2 Model Zoo"})
    other = small()
    report = load_checkpoint(other, path)
    assert_equal(other, model)
    assert len(report.loaded) == len(model.state_dict())
    assert not report.skipped
    assert len(report.ignored) == 2


@pytest.mark.parametrize("name", ["x.pth", "x.pyth", "x.safetensors"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_files_of_torch_load_whole(model, tmp_path, name, prefix):
    """What Detectron2's trainer writes, DistributedDataParallel's prefix or not."""
    tensors = {prefix + key: torch.from_numpy(value) for key, value in arrays(model).items()}
    if name == "x.safetensors":
        from geodet.weights import write_tensors

        write_tensors(tmp_path / name, tensors)
    else:
        layout = "model_state" if name == "x.pyth" else "model"
        torch.save({layout: tensors, "iteration": 7, "optimizer": {"a": [1]}}, tmp_path / name)
    other = small()
    load_checkpoint(other, tmp_path / name)
    assert_equal(other, model)


def test_what_we_write_is_what_detectron2_reads(model, tmp_path):
    """Plain pickle: the layout of the zoo, float32 arrays, NumPy by the names all versions know."""
    save_checkpoint(model, tmp_path / "ours.pkl")
    data = (tmp_path / "ours.pkl").read_bytes()
    found = pickle.loads(data, encoding="latin1")  # noqa: S301 - our own file
    assert found.keys() == {"model", "__author__"}
    wanted = arrays(model)
    assert list(found["model"]) == list(wanted)
    for name, array in found["model"].items():
        assert array.dtype == np.float32
        assert array.flags.writeable
        np.testing.assert_array_equal(array, wanted[name])
    assert b"numpy._core" not in data
    other = small()
    load_checkpoint(other, tmp_path / "ours.pkl")
    assert_equal(other, model)
    assert [path.name for path in tmp_path.iterdir()] == ["ours.pkl"]


def test_other_dtypes_are_written_as_detectron2_has_them(tmp_path):
    """Half precision becomes float32; the step counters of batch norms stay integers."""
    model = small(norm=torch.nn.BatchNorm2d, freeze_at=0).bfloat16()
    save_checkpoint(model, tmp_path / "bn.pkl")
    found = pickle.loads((tmp_path / "bn.pkl").read_bytes())["model"]  # noqa: S301 - our own file
    kinds = {name.rpartition(".")[2]: array.dtype for name, array in found.items()}
    assert kinds["num_batches_tracked"] == np.int64
    assert kinds["weight"] == np.float32
    assert found["backbone.bottom_up.stem.conv1.norm.num_batches_tracked"].shape == ()
    with pytest.raises(CheckpointError, match=r"ends in \.pkl"):
        save_checkpoint(model, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(model, tmp_path / "nowhere" / "x.pkl")


def test_nothing_is_loaded_unless_all_matches(model, tmp_path):
    """Missing, unexpected and mis-shaped keys come in one table that names the parts."""
    content = arrays(model)
    content["roi_heads.box_predictor.cls_score.weight"] = np.zeros((81, 8), np.float32)
    del content["backbone.fpn_lateral3.bias"]
    content["roi_heads.keypoint_head.score_lowres.bias"] = np.zeros(17, np.float32)
    path = write(tmp_path / "x.pkl", {"model": content, "__author__": "me"})
    other, before = small(), small()
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(other, path)
    text = str(caught.value)
    assert "1 missing, 1 unexpected, 1 of another shape" in text
    for words in (
        "box_head.predictor.class_logits (roi_heads.box_predictor.cls_score in the file): 1 differ",
        "backbone.laterals.3.bias",
        "backbone.fpn_lateral3.bias",
        "roi_heads.keypoint_head",
        "[81, 8]",
    ):
        assert words in text
    assert_equal(other, before)
    report = load_checkpoint(other, path, partial=True)
    assert report.missing == ("backbone.laterals.3.bias",)
    assert report.reshaped == ("box_head.predictor.class_logits.weight",)
    assert report.unexpected == ("roi_heads.keypoint_head.score_lowres.bias",)
    assert torch.equal(other.mask_head.predictor.weight, model.mask_head.predictor.weight)


def test_exact_files_are_not_matched_by_the_end_of_names(model, tmp_path):
    """Only files that say so, or come from before Detectron2, may leave out what stands first."""
    content = {key.removeprefix(TRUNK): value for key, value in arrays(model).items()}
    path = write(tmp_path / "x.pkl", {"model": content, "__author__": "me"})
    with pytest.raises(CheckpointError, match="265 missing, 265 unexpected"):
        load_checkpoint(small(), path)


def backbone_file(model, path, **more):
    """Bare names of the trunk, as in ImageNet initialisation files."""
    content = {
        key.removeprefix(TRUNK): value for key, value in arrays(model).items() if TRUNK in key
    }
    content |= {"fc.weight": np.zeros((10, 256), np.float32), **more}
    return write(path, {"model": content, "__author__": "torchvision", "matching_heuristics": True})


def test_an_imagenet_file_fills_the_backbone_and_lists_the_rest(model, tmp_path):
    """The trunk is loaded; heads and pyramid stay; the classifier is not needed."""
    path = backbone_file(model, tmp_path / "R-50.pkl")
    other, before = small(), small().state_dict()
    report = load_checkpoint(other, path)
    assert len(report.loaded) == 265
    assert report.ignored == ("fc.weight",)
    assert set(report.missing) == {n for n in before if "bottom_up" not in n}
    for name, value in other.state_dict().items():
        source = model.state_dict() if "bottom_up" in name else before
        assert torch.equal(value, source[name]), name
    assert "holds a backbone; everything else stays as it was" in str(report)
    load_checkpoint(small().backbone.bottom_up, path)
    load_checkpoint(small().backbone, path)


def test_torchvisions_resnets_as_detectron2_converts_them(model, tmp_path):
    """Its script puts the classifier into the stem."""
    classifier = {"stem.fc.weight": np.zeros((10, 256), np.float32), "stem.fc.bias": np.zeros(10)}
    path = backbone_file(model, tmp_path / "r50.pkl", **classifier)
    report = load_checkpoint(small(), path)
    assert set(report.ignored) == {"fc.weight", *classifier}
    assert len(report.loaded) == 265


def test_an_imagenet_file_of_another_depth_is_refused(model, tmp_path):
    """Both ways: the deeper model would keep random blocks, the shallower one lose some."""
    deep = small(depth=101)
    with pytest.raises(CheckpointError, match="255 missing, 0 unexpected"):
        load_checkpoint(deep, backbone_file(model, tmp_path / "R-50.pkl"))
    with pytest.raises(CheckpointError, match="0 missing, 255 unexpected"):
        load_checkpoint(small(), backbone_file(deep, tmp_path / "R-101.pkl"))


BLOBS = (
    (r"roi_heads.box_predictor.", ""),
    (r"roi_heads.box_head.fc1.", "fc6_"),
    (r"roi_heads.box_head.fc2.", "fc7_"),
    (r"roi_heads.mask_head.mask_fcn", "_[mask]_fcn"),
    (r"roi_heads.mask_head.predictor.", "mask_fcn_logits_"),
    (r"roi_heads.mask_head.deconv.", "conv5_mask_"),
    (r"proposal_generator.rpn_head.conv.", "conv_rpn_fpn2_"),
    (r"proposal_generator.rpn_head.anchor_deltas.", "rpn_bbox_pred_fpn2_"),
    (r"proposal_generator.rpn_head.objectness_logits.", "rpn_cls_logits_fpn2_"),
    (r"backbone.fpn_output5.", "fpn_res5_2_sum_"),
    (r"backbone.fpn_output4.", "fpn_res4_5_sum_"),
    (r"backbone.fpn_output3.", "fpn_res3_3_sum_"),
    (r"backbone.fpn_output2.", "fpn_res2_2_sum_"),
    (r"backbone.fpn_lateral5.", "fpn_inner_res5_2_sum_"),
    (r"backbone.fpn_lateral4.", "fpn_inner_res4_5_sum_lateral_"),
    (r"backbone.fpn_lateral3.", "fpn_inner_res3_3_sum_lateral_"),
    (r"backbone.fpn_lateral2.", "fpn_inner_res2_2_sum_lateral_"),
    (TRUNK + "stem.conv1.norm.", "res_conv1_bn_"),
    (TRUNK + "stem.", ""),
    (TRUNK, ""),
    (".shortcut.", "_branch1_"),
    (".conv1.", "_branch2a_"),
    (".conv2.", "_branch2b_"),
    (".conv3.", "_branch2c_"),
    ("norm.weight", "bn_s"),
    ("norm.bias", "bn_b"),
    ("bn_weight", "bn_s"),
    ("weight", "w"),
    ("bias", "b"),
    (".", "_"),
)


def blobs_of(model):
    """The same weights as Detectron1 kept them: its names, background first, affine norms."""
    blobs = {}
    for name, array in arrays(model).items():
        if "running" in name:
            continue
        value = array
        if "cls_score" in name:
            value = np.concatenate([array[-1:], array[:-1]])
        elif "bbox_pred" in name:
            value = np.concatenate([np.full_like(array[:4], 9.0), array])
        elif "mask_head.predictor" in name:
            value = np.concatenate([np.full_like(array[:1], 9.0), array])
        for ours, theirs in BLOBS:
            name = name.replace(ours, theirs)  # noqa: PLW2901
        blobs[name] = value
    return blobs


def test_detectron1_blobs_load_whole(tmp_path):
    """Renamed; background moved and dropped; momentum dropped; norms without statistics."""
    model = randomised(small())
    for name, value in model.state_dict().items():
        if "running" in name:
            value.fill_(0.0 if name.endswith("mean") else 1.0)
    blobs = blobs_of(model)
    assert "res4_5_branch2c_bn_s" in blobs
    assert "_[mask]_fcn2_w" in blobs
    blobs["fc6_w_momentum"] = blobs["fc6_w"] * 0
    path = write(tmp_path / "model_final.pkl", {"blobs": blobs, "cfg": "MODEL: ..."})
    other = randomised(small())
    report = load_checkpoint(other, path)
    assert_equal(other, model)
    assert not report.skipped
    assert "53 frozen norms without statistics: mean 0, variance 1" in str(report)


def test_caffe2_files_of_a_backbone_have_no_layout_at_all(tmp_path):
    """Blobs at the top, the classifier among them."""
    model = randomised(small())
    blobs = {
        key: value for key, value in blobs_of(model).items() if "branch" in key or "conv1" in key
    }
    blobs["pred_w"] = np.zeros((10, 256), np.float32)
    other = small()
    report = load_checkpoint(other, write(tmp_path / "R-50.pkl", blobs))
    assert len(report.loaded) == 265
    assert report.ignored == ("linear.weight",)
    assert torch.equal(
        other.backbone.bottom_up.res5[2].conv3.weight, model.backbone.bottom_up.res5[2].conv3.weight
    )


def test_group_norms_of_detectron1(tmp_path):
    """Blobs called gn."""
    model = randomised(small(norm=group_norm(2), freeze_at=0))
    blobs = {key.replace("_bn_", "_gn_"): value for key, value in blobs_of(model).items()}
    blobs["conv1_gn_s"] = blobs.pop("res_conv1_gn_s")
    blobs["conv1_gn_b"] = blobs.pop("res_conv1_gn_b")
    other = small(norm=group_norm(2), freeze_at=0)
    load_checkpoint(other, write(tmp_path / "gn.pkl", {"blobs": blobs}))
    assert_equal(other, model)


def test_other_pixel_statistics_are_an_error_that_names_both(model, tmp_path):
    """A file of a model with another mean would predict, only worse."""
    content = arrays(model) | {"pixel_std": np.float32([57.375, 57.12, 58.395])}
    path = write(tmp_path / "x.pkl", {"model": content, "__author__": "me"})
    other, before = small(), small()
    with pytest.raises(
        CheckpointError, match=r"pixel_std is \[57.375, 57.12, 58.395\], Preprocess"
    ):
        load_checkpoint(other, path)
    assert_equal(other, before)
    assert "pixel_std is [57.375" in str(load_checkpoint(other, path, partial=True))


def test_step_counters_of_norms_decide_nothing(tmp_path):
    """A file of trained norms into frozen ones and back: the counters have no place."""
    trained = randomised(small(norm=torch.nn.BatchNorm2d, freeze_at=0))
    frozen = small()
    save_checkpoint(trained, tmp_path / "bn.pkl")
    report = load_checkpoint(frozen, tmp_path / "bn.pkl")
    assert all(name.endswith("num_batches_tracked") for name in report.ignored)
    assert len(report.ignored) == 53
    save_checkpoint(frozen, tmp_path / "frozen.pkl")
    other = small(norm=torch.nn.BatchNorm2d, freeze_at=0)
    load_checkpoint(other, tmp_path / "frozen.pkl")
    assert_equal(other, trained)


def test_a_file_of_something_else_says_so(model, tmp_path):
    """No name in common: both sides' first names are shown."""
    path = write(tmp_path / "x.pkl", {"model": {"a.b": np.zeros(1)}, "__author__": "me"})
    with pytest.raises(CheckpointError, match=r"none of its 1 names, such as a\.b, is one of"):
        load_checkpoint(model, path)
    path = write(tmp_path / "y.pkl", {"model": {}, "__author__": "me"})
    with pytest.raises(CheckpointError, match="found none"):
        load_checkpoint(model, path)


def test_a_name_that_fits_twice_is_an_error(tmp_path):
    """Two backbones, one set of bare names: nobody can tell which is meant."""
    pair = torch.nn.ModuleDict({"a": small().backbone.bottom_up, "b": small().backbone.bottom_up})
    with pytest.raises(CheckpointError, match=r"could be 'a\.stem\.conv1\.weight' or 'b\.stem"):
        load_checkpoint(pair, backbone_file(small(), tmp_path / "R-50.pkl"))


def test_modules_without_rules_are_named_when_their_names_do_not_do(model, tmp_path):
    """A class of somebody's own: plain names when they fit, a hint when they do not."""

    class MyHead(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(2, 2)

    model.extra = MyHead()
    content = arrays(model)
    assert "extra.fc.weight" in content
    load_checkpoint(model, write(tmp_path / "x.pkl", {"model": content, "__author__": "me"}))
    content["extra.linear.weight"] = content.pop("extra.fc.weight")
    with pytest.raises(CheckpointError, match="no rule translates the names in MyHead"):
        load_checkpoint(model, write(tmp_path / "x.pkl", {"model": content, "__author__": "me"}))
