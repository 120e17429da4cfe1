"""One sound call of every public operator, for the tests that go through all of them."""

import attrs
import pytest
import torch

from geodet import ops

SIZE_HW = (6, 7)


def _random(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def _boxes(count, seed=0):
    corners = _random(count, 2, seed=seed) * 4
    return torch.cat((corners, corners + 0.5 + _random(count, 2, seed=seed + 100) * 3), dim=1)


def _rotated_boxes(count, seed=0):
    corners = _boxes(count, seed)
    sides = corners[:, 2:] - corners[:, :2]
    angles = _random(count, 1, seed=seed + 200) * 360 - 180
    return torch.cat((corners[:, :2] + sides / 2, sides, angles), dim=1)


def _runs(count, seed=0):
    """Run lengths of noise, with an empty and a full mask."""
    masks = _random(count, *SIZE_HW, seed=seed) < 0.4
    masks[0], masks[-1] = False, True
    counts, offsets = ops.rle_encode(masks)
    return {"counts": counts, "offsets": offsets}


def _prefixed(prefix, runs):
    return {f"{prefix}_{name}": value for name, value in runs.items()}


def _rings():
    """Two masks: a square with a hole and a triangle; a triangle."""
    rings = ([(1, 1), (5, 1), (5, 5), (1, 5)], [(2, 2), (4, 2), (4, 4), (2, 4)])
    rings += ([(0, 0), (3, 0), (0, 3)], [(2, 5), (6, 5), (6, 2)])
    points = torch.tensor([point for ring in rings for point in ring], dtype=torch.float64)
    return {
        "points": points,
        "ring_offsets": torch.tensor([0, 4, 8, 11, 14]),
        "part_offsets": torch.tensor([0, 2, 3, 4]),
        "mask_offsets": torch.tensor([0, 2, 3]),
    }


@attrs.frozen
class Call:
    """A call of a public operator with arguments that it takes.

    Args:
        name: of the operator in `geodet.ops`.
        arguments: by name.
        differentiable: names of the arguments that get a gradient.
        eager_only: why torch.compile cannot trace it; empty when it can.
        variant: what tells it from another call of the same operator.
    """

    name: str
    arguments: dict
    differentiable: tuple = ()
    eager_only: str = ""
    variant: str = ""

    def __call__(self, **changed):
        """Call the operator with some arguments replaced."""
        return getattr(ops, self.name)(**{**self.arguments, **changed})

    def tensors(self):
        """Return the tensor arguments by name."""
        return {n: v for n, v in self.arguments.items() if isinstance(v, torch.Tensor)}

    def fresh(self):
        """Return the same call with its own tensors; those that get a gradient ask for one."""
        own = {
            name: value.clone().requires_grad_(name in self.differentiable)
            for name, value in self.tensors().items()
        }
        return attrs.evolve(self, arguments={**self.arguments, **own})

    def __str__(self):
        return f"{self.name}-{self.variant}" if self.variant else self.name


def _box_calls():
    a, b = _boxes(5), _boxes(4, 1)
    scores, groups = _random(5, seed=2), torch.tensor([0, 1, 0, 1, 0])
    yield Call("box_area", {"xyxy": a}, ("xyxy",))
    for measure in ("iou", "intersection", "ioa", "giou", "diou", "ciou", "distance"):
        yield Call(f"pairwise_box_{measure}", {"a": a, "b": b}, ("a", "b"))
        yield Call(f"matched_box_{measure}", {"a": a, "b": _boxes(5, 1)}, ("a", "b"))
    points = {"points": _random(6, 2, seed=3) * 7, "xyxy": a}
    yield Call("pairwise_point_box_distances", points, ("points", "xyxy"))
    yield Call("nms", {"xyxy": a, "scores": scores, "iou_threshold": 0.3})
    yield Call("batched_nms", {"xyxy": a, "scores": scores, "groups": groups, "iou_threshold": 0.3})
    yield Call("soft_nms", {"xyxy": a, "scores": scores})
    softened = {"xyxy": a, "scores": scores, "groups": groups, "method": "gaussian"}
    yield Call("batched_soft_nms", softened)
    models = {"labels": groups, "models": 1 - groups, "weights": [1.0, 0.5]}
    yield Call("weighted_box_fusion", {"xyxy": a, "scores": scores, **models})


def _rotated_calls():
    a, b = _rotated_boxes(5), _rotated_boxes(4, 1)
    for measure in ("iou", "intersection", "giou", "diou", "distance"):
        yield Call(f"pairwise_rotated_{measure}", {"a": a, "b": b}, ("a", "b"))
        yield Call(f"matched_rotated_{measure}", {"a": a, "b": _rotated_boxes(5, 1)}, ("a", "b"))
    window = torch.tensor([0.0, 0.0, 4.0, 3.0])
    yield Call("clip_rotated_boxes", {"cxcywha": a, "window": window})
    windows = window.expand(5, 4).clone()
    yield Call("clip_rotated_boxes", {"cxcywha": a, "window": windows}, variant="windows")
    scored = {"cxcywha": a, "scores": _random(5, seed=2), "iou_threshold": 0.3}
    yield Call("rotated_nms", scored)
    groups = torch.tensor([0, 1, 0, 1, 0])
    yield Call("batched_rotated_nms", {**scored, "groups": groups})


def _mask_calls():
    pasted = {"probabilities": _random(3, 4, 4), "xyxy": _boxes(3), "image_size": SIZE_HW}
    yield Call("paste_masks", pasted)
    yield Call("paste_masks_to_rle", pasted)
    yield Call("paste_mask_probabilities", pasted)
    turned = {"probabilities": _random(3, 4, 4), "cxcywha": _rotated_boxes(3)}
    turned["image_size"] = SIZE_HW
    yield Call("paste_rotated_masks", turned)
    yield Call("paste_rotated_masks_to_rle", turned)
    yield Call("paste_rotated_mask_probabilities", turned)
    image = torch.tensor([[0.0], [1.0], [0.0]])
    rois = torch.cat((image, _boxes(3)), dim=1)
    yield Call(
        "roi_align",
        {
            "features": _random(2, 3, 6, 6),
            "rois": rois,
            "output_size": (2, 3),
            "spatial_scale": 0.5,
            "sampling_ratio": 2,
        },
        ("features",),
    )
    turned = torch.cat((image, _rotated_boxes(3)), dim=1)
    maps = {"features": _random(2, 3, 6, 6), "rois": turned, "output_size": (2, 3)}
    yield Call("roi_align_rotated", {**maps, "spatial_scale": 0.5}, ("features",))


def _deform_calls():
    # Samples near the middle of pixels, where the interpolation has no kink.
    offsets = 0.3 + 0.1 * _random(2, 8, 5, 5)
    maps = {"features": _random(2, 3, 6, 6), "offsets": offsets, "weight": _random(2, 3, 2, 2)}
    modulation = _random(2, 4, 5, 5)
    differentiable = ("features", "offsets", "weight", "modulation")
    yield Call("deform_conv2d", {**maps, "modulation": modulation}, differentiable)


def _bit_mask_calls():
    masks, others = _random(3, *SIZE_HW) < 0.4, _random(2, *SIZE_HW, seed=1) < 0.4
    yield Call("bit_mask_components", {"masks": masks})
    yield Call("bit_mask_boundaries", {"masks": masks, "radius": 1})
    yield Call("dilate_bit_masks", {"masks": masks, "radius": 1})
    yield Call("erode_bit_masks", {"masks": masks, "radius": 1, "outside": True})
    yield Call("pairwise_bit_mask_iou", {"a": masks, "b": others})
    yield Call("pairwise_bit_mask_ioa", {"a": masks, "b": others})


def _keypoint_calls():
    flags = torch.tensor([[0.0, 1.0, 2.0]] * 3)[..., None]
    xyv = torch.cat((_random(3, 3, 2) * 5, flags), dim=2)
    boxes = _boxes(3)
    yield Call("encode_keypoint_heatmap_targets", {"xyv": xyv, "xyxy": boxes, "side": 8})
    yield Call("decode_keypoint_heatmaps", {"heatmaps": _random(3, 2, 8, 8), "xyxy": boxes})
    yield Call(
        "object_keypoint_similarity",
        {
            "predictions": xyv + 0.25,
            "targets": xyv,
            "areas": boxes[:, 2] * 3,
            "xyxy": boxes,
            "sigmas": torch.tensor([0.1, 0.2, 0.3]),
        },
    )
    sampled = {"features": _random(2, 3, 5, 6), "xy": _random(2, 4, 2, seed=1) * 5}
    yield Call("sample_points", {**sampled, "spatial_scale": 0.5}, ("features", "xy"))


def _point_calls():
    points = (_random(9, 2) * 8).double()
    sets = {"points": points, "offsets": torch.tensor([0, 4, 4, 9])}
    yield Call("convex_hulls", sets)
    yield Call("min_area_rectangles", sets)
    rings = _rings()
    yield Call("polygons_to_rle", {**rings, "size_hw": SIZE_HW})
    yield Call("polygons_to_bit_masks", {**rings, "size_hw": SIZE_HW})
    yield Call("polygon_roi_targets", {**rings, "xyxy": _boxes(2).double(), "side": 7})
    yield Call("clip_polygons", {**rings, "window_xyxy": (1.0, 1.0, 5.5, 4.0)})
    yield Call("rings_are_simple", {n: rings[n] for n in ("points", "ring_offsets")})
    simplified = {n: rings[n] for n in ("points", "ring_offsets")}
    yield Call("simplify_polygons", {**simplified, "tolerance": 0.5})
    yield Call("polygon_coverage", {**rings, "size_hw": SIZE_HW})
    yield Call("ring_areas", {n: rings[n] for n in ("points", "ring_offsets")})


def _matching_calls():
    flags = {"crowd": torch.tensor([False, True, False])}
    yield Call(
        "match_greedily",
        {
            "similarities": _random(4, 3),
            "thresholds": torch.tensor([0.5, 0.75]),
            "ignored": torch.tensor([True, True, False]),
            **flags,
        },
    )
    yield Call(
        "batched_match_greedily",
        {
            "similarities": _random(5),
            "pred_offsets": torch.tensor([0, 2, 3]),
            "target_offsets": torch.tensor([0, 2, 3]),
            "thresholds": torch.tensor([0.5, 0.75]),
            "ignored": torch.tensor([[True, True, False], [False, False, True]]),
            **flags,
        },
    )


def _rle_calls():
    runs, others, sized = _runs(4), _runs(4, 1), {"size_hw": SIZE_HW}
    both = {**_prefixed("a", runs), **_prefixed("b", others)}
    no_tensors = "works on texts and lists, which torch does not trace"
    yield Call("rle_encode", {"masks": _random(3, *SIZE_HW) < 0.4})
    yield Call("rle_decode", {**runs, **sized})
    yield Call("rle_check", {**runs, **sized}, eager_only="gives nothing, only raises")
    yield Call("rle_area", runs)
    yield Call("rle_boxes", {**runs, "height": SIZE_HW[0]})
    for name in ("iou", "ioa", "intersection", "union"):
        yield Call(f"matched_rle_{name}", both)
    yield Call("pairwise_rle_ioa", {**both, "height": SIZE_HW[0]})
    yield Call("rle_complement", runs)
    yield Call("rle_connected_components", {**runs, **sized})
    yield Call("rle_contours", {**runs, **sized})
    yield Call("rle_boundary", {**runs, **sized, "radius": 1})
    yield Call("rle_dilate", {**runs, **sized, "radius": 1})
    yield Call("rle_erode", {**runs, **sized, "radius": 2, "neighbourhood": "disk"})
    yield Call("rle_pad", {**runs, **sized, "padding": (1, 0, 2, 3)})
    yield Call("rle_rotate_90", {**runs, **sized, "quarter_turns": 3})
    yield Call("boundary_radius", {**sized}, eager_only="works on numbers alone")
    yield Call("rle_union", {**runs, "group_offsets": torch.tensor([0, 1, 1, 4])})
    yield Call("rle_intersection", {**runs, "group_offsets": torch.tensor([0, 1, 1, 4])})
    yield Call("rle_difference", both)
    yield Call("rle_crop", {**runs, **sized, "box_xyxy": (1, 1, 5, 4)})
    yield Call("rle_flip", {**runs, **sized, "horizontal": True})
    yield Call("rle_resize", {**runs, **sized, "new_hw": (9, 4)})
    yield Call("pairwise_rle_iou", both)
    crowd = {"is_crowd": torch.tensor([True, False, True, False]), "height": SIZE_HW[0]}
    yield Call("pairwise_rle_iou", {**both, **crowd}, variant="crowd")
    yield Call("rle_to_strings", runs, eager_only=no_tensors)
    texts = ops.rle_to_strings(**runs)
    yield Call("rle_from_strings", {"texts": texts}, eager_only=no_tensors)


FAMILIES = (
    _bit_mask_calls,
    _keypoint_calls,
    _box_calls,
    _deform_calls,
    _rotated_calls,
    _mask_calls,
    _point_calls,
    _matching_calls,
    _rle_calls,
)
CALLS = tuple(call for family in FAMILIES for call in family())


def pytest_generate_tests(metafunc):
    """Run a test that asks for `call` once for each call."""
    if "call" in metafunc.fixturenames:
        metafunc.parametrize("call", CALLS, ids=str)


@pytest.fixture(scope="session")
def calls():
    """All calls at once."""
    return CALLS
