"""Keypoint operators: torchvision's and pycocotools' answers, ties, odd boxes, wrong arguments."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from geodet import Skeleton
from geodet.errors import DeviceError, DtypeError, InvalidValueError, ShapeError
from geodet.ops import (
    decode_keypoint_heatmaps,
    encode_keypoint_heatmap_targets,
    object_keypoint_similarity,
)
from geodet.ops.reference import keypoints as reference

SIGMAS = torch.tensor(Skeleton.coco_person().sigmas, dtype=torch.float64)


def heatmap_case(seed, side, *, rois=3, points=2, dtype=torch.float64):
    """Noise, peaks and flat maps on boxes from less than a pixel to some hundred."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 3, (rois, points, side, side))
    if seed % 3 == 1:
        maps = maps.round()  # many equal cells
    if seed % 3 == 2:
        y, x = np.mgrid[:side, :side]
        cx, cy = rng.uniform(0, side, (2, rois, points, 1, 1))
        maps = 8 - ((x - cx) ** 2 + (y - cy) ** 2) / rng.uniform(1, 30) + 0.1 * maps
    corners = rng.uniform(-20, 40, (rois, 2))
    sides = rng.choice([0.0, 0.3, 1.0, 7.5, float(side), 60.25, 120.0], (rois, 2))
    boxes = np.concatenate([corners, corners + sides], 1)
    return torch.tensor(maps, dtype=dtype), torch.tensor(boxes, dtype=dtype)


@given(
    seed=st.integers(0, 2**32 - 1),
    side=st.sampled_from([1, 2, 3, 5, 14, 28]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@example(seed=1, side=56, dtype=torch.float32)
def test_decoded_points_are_the_peaks_of_the_stretched_map(seed, side, dtype):
    """No cell is higher than the one found, and score and position follow from it."""
    maps, boxes = heatmap_case(seed, side, dtype=dtype)
    found = decode_keypoint_heatmaps(maps, boxes)
    expected = reference.decode_keypoint_heatmaps(maps, boxes)
    # Two peaks that differ by rounding alone may change places; their values may not.
    tight = {"rtol": 0, "atol": 64 * torch.finfo(dtype).eps * float(maps.abs().max())}
    torch.testing.assert_close(found[..., 2], expected[..., 2], **tight)
    torch.testing.assert_close(found[..., 3], expected[..., 3], rtol=20 * tight["atol"], atol=0)
    for row, (x1, y1, x2, y2) in enumerate(boxes):
        width, height = (x2 - x1).clamp(min=1), (y2 - y1).clamp(min=1)
        size = int(height.ceil()), int(width.ceil())
        stretched = torch.nn.functional.interpolate(
            maps[row : row + 1], size=size, mode="bicubic", align_corners=False
        )[0]
        for point in range(maps.shape[1]):
            x, y = found[row, point, :2]
            column = (x - x1) / (width / size[1]) - 0.5
            line = (y - y1) / (height / size[0]) - 0.5
            assert abs(column - column.round()) < 1e-3
            assert abs(line - line.round()) < 1e-3
            there = stretched[point, int(line.round()), int(column.round())]
            torch.testing.assert_close(there, found[row, point, 2], **tight)


@given(seed=st.integers(0, 2**32 - 1), side=st.sampled_from([4, 14, 28]))
def test_decoding_agrees_with_torchvision(seed, side):
    """Positions and logits are torchvision's, which decodes Detectron2's way."""
    roi_heads = pytest.importorskip("torchvision.models.detection.roi_heads")
    maps, boxes = heatmap_case(3 * seed, side, rois=2)  # noise: no equal cells
    found = decode_keypoint_heatmaps(maps, boxes)
    points, logits = roi_heads.heatmaps_to_keypoints(maps, boxes)
    torch.testing.assert_close(found[..., :2], points[..., :2].to(found.dtype), rtol=0, atol=1e-3)
    torch.testing.assert_close(found[..., 2], logits.to(found.dtype), rtol=1e-6, atol=1e-6)


def test_the_first_of_equal_peaks_wins():
    """Cells of the box's own size are read exactly, so equal cells are equal peaks."""
    maps = torch.zeros(1, 2, 5, 5)
    maps[0, 0, 1, 3] = maps[0, 0, 2, 0] = maps[0, 0, 1, 4] = 2.0
    found = decode_keypoint_heatmaps(maps, torch.tensor([[10.0, 20.0, 15.0, 25.0]]))
    assert found[0, :, :2].tolist() == [[13.5, 21.5], [10.5, 20.5]]
    assert found[0, 1, 2:].tolist() == [0.0, pytest.approx(1 / 25)]


def test_boxes_and_maps_that_are_not_finite_give_nan():
    """A broken row spoils itself alone; a long box costs nothing."""
    inf, nan = math.inf, math.nan
    boxes = [[0.0, 0.0, 4.0, 4.0], [nan, 0, 4, 4], [0, 0, 4, inf], [-inf, 0, 4, 4], [0, 0, 1e9, 4]]
    maps = torch.zeros(len(boxes), 3, 4, 4)
    maps[0, 1, 0, 0], maps[0, 2, 3, 3] = nan, inf
    found = decode_keypoint_heatmaps(maps, torch.tensor(boxes))
    assert bool(found[0, 0].isfinite().all())
    assert bool(found[0, 1:].isnan().all())
    assert bool(found[1:].isnan().all())


def test_a_box_inside_out_counts_as_one_pixel():
    """As for a box without width, the only pixel has its centre half a pixel from the corner."""
    found = decode_keypoint_heatmaps(torch.rand(1, 1, 3, 3), torch.tensor([[5.0, 5.0, 2.0, 5.0]]))
    assert found[0, 0, :2].tolist() == [5.5, 5.5]


def test_half_precision_maps_keep_the_precision_of_the_boxes():
    """Logits of half precision are decoded in float32 into the dtype of the boxes."""
    maps, boxes = heatmap_case(2, 28, dtype=torch.float32)
    for dtype in (torch.float16, torch.bfloat16):
        low = maps.to(dtype)
        expected = decode_keypoint_heatmaps(low.float(), boxes)
        assert torch.equal(decode_keypoint_heatmaps(low, boxes), expected)
        rounded = decode_keypoint_heatmaps(low, boxes.to(dtype))
        exact = decode_keypoint_heatmaps(low.float(), boxes.to(dtype).float())
        assert torch.equal(rounded, exact.to(dtype))


def test_extreme_logits_have_scores_between_none_and_all():
    """Exp neither overflows nor leaves zero where the peak is all there is."""
    maps = torch.full((1, 2, 4, 4), -1e30)
    maps[0, :, 1, 2] = 1e30
    maps[0, 1] /= 1e30
    found = decode_keypoint_heatmaps(maps, torch.tensor([[0.0, 0.0, 4.0, 4.0]]))
    assert found[0, 0].tolist() == [2.5, 1.5, pytest.approx(1e30), 1.0]
    assert 0 < found[0, 1, 3] < 1


@given(seed=st.integers(0, 2**32 - 1), side=st.integers(1, 60))
def test_encoded_cells_agree_with_the_reference_and_torchvision(seed, side):
    """Points on eighths of pixels: inside, outside, on every edge, in boxes without width."""
    rng = np.random.default_rng(seed)
    boxes = np.sort(rng.integers(0, 64, (4, 2, 2)) / 8, axis=1).reshape(4, 4)
    xyv = np.concatenate(
        [rng.integers(-8, 72, (4, 5, 2)) / 8, rng.integers(0, 3, (4, 5, 1))], axis=2
    )
    xyv[:, 0, :2], xyv[:, 1, :2] = boxes[:, :2], boxes[:, 2:]
    points, corners = torch.from_numpy(xyv).float(), torch.from_numpy(boxes).float()
    cells, valid = encode_keypoint_heatmap_targets(points, corners, side)
    expected, there = reference.encode_keypoint_heatmap_targets(points, corners, side)
    assert torch.equal(valid, there)
    assert torch.equal(cells, expected)
    roi_heads = pytest.importorskip("torchvision.models.detection.roi_heads")
    solid = (corners[:, 2:] > corners[:, :2]).all(1)
    theirs, theirs_valid = roi_heads.keypoints_to_heatmap(points[solid], corners[solid], side)
    assert torch.equal(cells[solid], theirs)
    assert torch.equal(valid[solid], theirs_valid.bool())


@given(seed=st.integers(0, 2**32 - 1))
def test_encoding_and_decoding_come_back_to_the_cell(seed):
    """A map whose only peak is the encoded cell decodes to a point of that cell."""
    rng = np.random.default_rng(seed)
    side = 8
    boxes = torch.tensor([[3.0, 5.0, 35.0, 37.0]])
    xy = torch.from_numpy(rng.uniform(5, 35, (1, 4, 2))).float()
    cells, valid = encode_keypoint_heatmap_targets(
        torch.cat([xy, torch.ones(1, 4, 1)], 2), boxes, side
    )
    assert bool(valid.all())
    maps = torch.nn.functional.one_hot(cells, side * side).float().reshape(1, 4, side, side)
    found = decode_keypoint_heatmaps(maps * 9, boxes)
    # Cells are 4 pixels wide; the four middle pixels are equally high, the first one wins.
    assert float((found[..., :2] - xy).abs().max()) <= 4


def test_points_that_are_not_finite_have_no_cell():
    """NaN and infinities are outside of every box."""
    bad = torch.tensor([[[math.nan, 1.0, 2.0], [1.0, math.inf, 2.0], [1.0, 1.0, math.nan]]])
    cells, valid = encode_keypoint_heatmap_targets(bad, torch.tensor([[0.0, 0.0, 4.0, 4.0]]), 4)
    assert not valid.any()
    assert not cells.any()


def keypoint_dataset(rng, count, targets):
    """Objects of a random image as COCO dictionaries; coordinates on eighths of pixels."""
    rows = []
    for number in range(count):
        x, y = rng.integers(0, 800, 2) / 8
        w, h = rng.integers(8, 400, 2) / 8
        points = np.concatenate(
            [rng.integers(0, 1200, (17, 2)) / 8, rng.integers(0, 3, (17, 1))], axis=1
        )
        if targets and rng.random() < 0.3:
            points[:, 2] = 0
        elif rng.random() < 0.7:
            points[:, :2] = np.array([x, y]) + rng.random((17, 2)).round(2) * np.array([w, h])
        rows.append(
            {
                "id": number + 1,
                "score": 1 - number / 100,
                "keypoints": points.reshape(-1).tolist(),
                "bbox": [x, y, w, h],
                "area": float(rng.choice([0.0, 0.5 * w * h, 1e-3])),
            }
        )
    return rows


@given(seed=st.integers(0, 2**32 - 1))
def test_similarity_agrees_with_pycocotools(seed):
    """Every entry of computeOks, targets without labelled points and without area included."""
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(seed)
    evaluation = cocoeval.COCOeval(iouType="keypoints")
    found = keypoint_dataset(rng, int(rng.integers(1, 5)), targets=False)
    wanted = keypoint_dataset(rng, int(rng.integers(1, 5)), targets=True)
    evaluation._dts[1, 1], evaluation._gts[1, 1] = found, wanted
    expected = evaluation.computeOks(1, 1)

    def points(rows):
        values = [row["keypoints"] for row in rows]
        return torch.tensor(values, dtype=torch.float64).reshape(-1, 17, 3)

    xywh = torch.tensor([row["bbox"] for row in wanted], dtype=torch.float64)
    ours = object_keypoint_similarity(
        points(found),
        points(wanted),
        torch.tensor([row["area"] for row in wanted], dtype=torch.float64),
        torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1),
        torch.from_numpy(evaluation.params.kpt_oks_sigmas),
    )
    # exp and the order of 17 additions: a few units of the last digit. Below 1e-307 ours is 0.
    np.testing.assert_allclose(ours, expected, rtol=1e-14, atol=1e-307)


@given(seed=st.integers(0, 2**32 - 1))
def test_similarity_equals_the_reference(seed):
    """Any number of points, float32 input computed in float64."""
    rng = torch.Generator().manual_seed(seed)
    points = int(torch.randint(1, 5, (1,), generator=rng))
    found = torch.rand(3, points, 3, generator=rng) * 20
    wanted = torch.rand(2, points, 3, generator=rng) * 20
    wanted[..., 2] = (wanted[..., 2] - 10).clamp(min=0).round()
    areas, sigmas = torch.rand(2, generator=rng) * 300, torch.rand(points, generator=rng) + 0.01
    boxes = torch.cat([torch.rand(2, 2, generator=rng), 3 + torch.rand(2, 2, generator=rng)], 1)
    ours = object_keypoint_similarity(found, wanted, areas, boxes, sigmas)
    expected = reference.object_keypoint_similarity(found, wanted, areas, boxes, sigmas)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-307)


def test_a_target_is_like_itself():
    """Similarity is 1 with itself and falls with the distance."""
    target = torch.rand(1, 17, 3).double() * 50
    moved = torch.cat([target + torch.tensor([step, 0.0, 0.0]) for step in (0.0, 1.0, 2.0, 50.0)])
    similarity = object_keypoint_similarity(
        moved, target, torch.tensor([400.0]), torch.zeros(1, 4), SIGMAS
    )[:, 0].tolist()
    assert similarity[0] == 1.0
    assert similarity == sorted(similarity, reverse=True)
    assert similarity[-1] < 1e-3


def test_threads_change_nothing():
    """Enough work for several threads gives what one thread gives."""
    maps, boxes = heatmap_case(2, 56, rois=60, points=5, dtype=torch.float32)
    found = torch.rand(100, 17, 3) * 90
    areas, corners = torch.rand(100) * 900, torch.zeros(100, 4)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(
                (
                    decode_keypoint_heatmaps(maps, boxes),
                    object_keypoint_similarity(found, found, areas, corners, SIGMAS),
                )
            )
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_no_object_and_no_target_are_normal():
    """Empty in, empty out, with the shape that was asked for."""
    assert decode_keypoint_heatmaps(torch.zeros(0, 3, 4, 4), torch.zeros(0, 4)).shape == (0, 3, 4)
    assert decode_keypoint_heatmaps(torch.zeros(2, 0, 4, 4), torch.zeros(2, 4)).shape == (2, 0, 4)
    cells, valid = encode_keypoint_heatmap_targets(torch.zeros(0, 3, 3), torch.zeros(0, 4), 5)
    assert cells.shape == valid.shape == (0, 3)
    for rows, columns in ((0, 2), (2, 0)):
        similarity = object_keypoint_similarity(
            torch.zeros(rows, 17, 3),
            torch.zeros(columns, 17, 3),
            torch.zeros(columns),
            torch.zeros(columns, 4),
            SIGMAS,
        )
        assert similarity.shape == (rows, columns)


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    maps, boxes = torch.zeros(2, 3, 4, 4), torch.zeros(2, 4)
    with pytest.raises(ShapeError, match=r"heatmaps: expected \[n, k, 4, 4\], got \[2, 3, 4, 5\]"):
        decode_keypoint_heatmaps(torch.zeros(2, 3, 4, 5), boxes)
    with pytest.raises(ShapeError, match=r"xyxy: expected \[2, 4\]"):
        decode_keypoint_heatmaps(maps, boxes[:1])
    with pytest.raises(DtypeError, match=r"xyxy: expected torch\.float32"):
        decode_keypoint_heatmaps(maps, boxes.double())
    with pytest.raises(DeviceError, match="heatmaps is on cpu, xyxy on meta"):
        decode_keypoint_heatmaps(maps, boxes.to("meta"))
    for side in (0, 1025):
        with pytest.raises(InvalidValueError, match="heatmaps: expected 1 to 1024 cells a side"):
            decode_keypoint_heatmaps(torch.zeros(1, 1, side, side), boxes[:1])
    points = torch.zeros(2, 3, 3)
    with pytest.raises(InvalidValueError, match="side: expected at least 1, got 0"):
        encode_keypoint_heatmap_targets(points, boxes, 0)
    with pytest.raises(ShapeError, match=r"xyv: expected \[n, k, 3\]"):
        encode_keypoint_heatmap_targets(points[0], boxes, 4)
    areas, sigmas = torch.zeros(2), torch.ones(3)
    with pytest.raises(ShapeError, match=r"targets: expected \[m, 3, 3\], got \[2, 2, 3\]"):
        object_keypoint_similarity(points, points[:, :2], areas, boxes, sigmas)
    with pytest.raises(ShapeError, match=r"areas: expected \[2\], got \[1\]"):
        object_keypoint_similarity(points, points, areas[:1], boxes, sigmas)
    with pytest.raises(DtypeError, match="sigmas: expected a floating-point dtype"):
        object_keypoint_similarity(points, points, areas, boxes, sigmas.long())
    with pytest.raises(InvalidValueError, match="sigmas: expected at least one point"):
        object_keypoint_similarity(points[:, :0], points[:, :0], areas, boxes, sigmas[:0])


def test_registration_passes_torchs_own_checks():
    """Schema, fake and tracing agree with the kernels; compiled functions are one graph."""
    maps, boxes = heatmap_case(0, 5)
    torch.library.opcheck(torch.ops.geodet.decode_keypoint_heatmaps, (maps, boxes))
    points = torch.rand(2, 3, 3).double()
    arguments = (points, points, torch.rand(2).double(), torch.rand(2, 4).double(), SIGMAS[:3])
    torch.library.opcheck(torch.ops.geodet.object_keypoint_similarity, arguments)
    for function, given_arguments in (
        (decode_keypoint_heatmaps, (maps, boxes)),
        (object_keypoint_similarity, arguments),
        (encode_keypoint_heatmap_targets, (points, torch.rand(2, 4).double(), 7)),
    ):
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(*given_arguments), function(*given_arguments))


@pytest.mark.cuda
def test_cuda_finds_the_same_points(cuda):
    """Decoding and similarity agree on every bit, encoding on every cell."""
    for dtype in (torch.float32, torch.float64):
        for seed in range(6):
            maps, boxes = heatmap_case(seed, 28, dtype=dtype)
            boxes[0, 2] = math.nan
            found = decode_keypoint_heatmaps(maps.to(cuda), boxes.to(cuda))
            expected = decode_keypoint_heatmaps(maps, boxes)
            torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=0, equal_nan=True)
    points, boxes = torch.rand(9, 17, 3) * 40, torch.tensor([[5.0, 5.0, 30.0, 35.0]] * 9)
    points[2, :, 2] = 0
    cells = encode_keypoint_heatmap_targets(points.to(cuda), boxes.to(cuda), 56)
    for ours, theirs in zip(cells, encode_keypoint_heatmap_targets(points, boxes, 56), strict=True):
        assert torch.equal(ours.cpu(), theirs)
    arguments = (points, points, torch.rand(9) * 400, boxes, SIGMAS)
    similarity = object_keypoint_similarity(*(value.to(cuda) for value in arguments))
    assert torch.equal(similarity.cpu(), object_keypoint_similarity(*arguments))
