"""Keypoints and skeletons: mirrors swap sides, unlabelled points stay, messages."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet import (
    Boxes,
    DtypeError,
    ImageSize,
    InvalidValueError,
    Keypoints,
    RotatedBoxes,
    ShapeError,
    Skeleton,
)
from geodet import testing as gt

SIZE = ImageSize(9, 14)
PAIR = Skeleton(names=["left", "right"], flip_pairs=[(0, 1)], sigmas=[0.1, 0.1])


def test_the_person_of_coco_matches_its_annotation_files(shared_dir):
    """Names and edges equal those in a COCO keypoint file (which counts points from 1)."""
    files = sorted((shared_dir / "data" / "coco_mini").rglob("*keypoints*.json"))
    assert files
    category = json.loads(files[0].read_text())["categories"][0]
    person = Skeleton.coco_person()
    assert list(person.names) == category["keypoints"]
    assert [[a + 1, b + 1] for a, b in person.edges] == category["skeleton"]


def test_the_person_of_coco_has_the_sigmas_of_the_official_tool():
    """Sigmas are those that pycocotools evaluates with."""
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    sigmas = cocoeval.Params(iouType="keypoints").kpt_oks_sigmas
    assert list(Skeleton.coco_person().sigmas) == pytest.approx(list(sigmas))


def test_mirrored_sides_of_a_person_have_mirrored_names():
    """Every flip pair swaps left_x with right_x; the nose stays."""
    person = Skeleton.coco_person()
    for index, other in enumerate(person.flip_indices()):
        swapped = person.names[index].replace("left", "?").replace("right", "left")
        assert person.names[other] == swapped.replace("?", "right")


@given(gt.skeletons())
def test_flip_indices_are_an_involution(skeleton):
    """Swapping sides twice changes nothing."""
    order = skeleton.flip_indices()
    assert [order[order[index]] for index in range(len(skeleton))] == list(range(len(skeleton)))


def test_mirrors_move_points_and_swap_sides():
    """The left point of the mirrored image is where the right point was mirrored to."""
    points = Keypoints(torch.tensor([[[2.0, 3.0, 2.0], [5.0, 4.0, 1.0]]]), PAIR)
    across = points.flip_horizontally(SIZE)
    assert across.xyv.tolist() == [[[9.0, 4.0, 1.0], [12.0, 3.0, 2.0]]]
    down = points.flip_vertically(SIZE)
    assert down.xyv.tolist() == [[[5.0, 5.0, 1.0], [2.0, 6.0, 2.0]]]


@given(gt.keypoints(image_size=SIZE))
def test_points_without_label_never_move(points):
    """(0, 0, 0) means not labelled after every transform, too."""
    for moved in (
        points.scale(2.0, 3.0),
        points.translate(1.0, 1.0),
        points.rotate(30.0, center=(1.0, 2.0)),
        points.rotate_90(1, SIZE),
        points.flip_horizontally(SIZE),
        points.flip_vertically(SIZE),
    ):
        assert torch.equal(
            moved.xyv[~moved.labelled()], torch.zeros((int((~points.labelled()).sum()), 3))
        )


@given(gt.keypoints(image_size=SIZE))
def test_scale_and_translate_act_on_coordinates_alone(points):
    """Labelled points move like any point; v stays."""
    on = points.labelled()
    scaled = points.scale(2.0, 0.5).translate(1.0, -1.0)
    expected = points.xyv[on] * torch.tensor([2.0, 0.5, 1.0]) + torch.tensor([1.0, -1.0, 0.0])
    assert torch.equal(scaled.xyv[on], expected)
    assert bool(points.inside(SIZE).all())


@given(points=gt.keypoints(image_size=SIZE), angle=st.integers(-400, 400))
def test_turns_agree_with_shapely(points, angle):
    """Counter-clockwise as seen is clockwise in shapely, whose y points up."""
    affinity = pytest.importorskip("shapely.affinity")
    geometry = pytest.importorskip("shapely.geometry")
    turned = points.rotate(float(angle), center=(3.0, 5.0))
    for before, after in zip(points.xyv.view(-1, 3), turned.xyv.view(-1, 3), strict=True):
        if before[2] > 0:
            point = geometry.Point(*before[:2].tolist())
            expected = affinity.rotate(point, -angle, origin=(3.0, 5.0))
            assert after[:2].tolist() == pytest.approx([expected.x, expected.y], abs=1e-4)
        else:
            assert torch.equal(before, after)


@given(row=st.integers(0, 8), column=st.integers(0, 13), turns=st.integers(-5, 5))
def test_quarter_turns_follow_the_pixels(row, column, turns):
    """The centre of a pixel lands on the centre of where NumPy turns that pixel."""
    image = np.zeros(SIZE.as_tuple())
    image[row, column] = 1
    ((to_row, to_column),) = np.argwhere(np.rot90(image, turns))
    points = Keypoints(torch.tensor([[[column + 0.5, row + 0.5, 2.0], [0.0, 0.0, 0.0]]]), PAIR)
    turned = points.rotate_90(turns, SIZE)
    assert turned.xyv.tolist() == [[[to_column + 0.5, to_row + 0.5, 2.0], [0.0, 0.0, 0.0]]]


@given(gt.keypoints(image_size=SIZE))
def test_clipping_takes_the_label_off_what_lies_outside(points):
    """What is left lies inside and was not moved; the rest is (0, 0, 0)."""
    small = ImageSize(5, 6)
    clipped = points.clip_to(small)
    kept = clipped.labelled()
    assert torch.equal(kept, points.labelled() & points.inside(small))
    assert torch.equal(clipped.xyv[kept], points.xyv[kept])
    assert not clipped.xyv[~kept].any()
    assert clipped.clip_to(small).equal(clipped)


@given(gt.keypoints())
def test_boxes_are_the_hulls_of_labelled_points(points):
    """Shapely's bounds; (0, 0, 0, 0) without labelled points; counts agree."""
    geometry = pytest.importorskip("shapely.geometry")
    for row, box in zip(points, points.boxes().xyxy, strict=True):
        xy = row.xyv[0][row.labelled()[0], :2].tolist()
        expected = geometry.MultiPoint(xy).bounds if xy else (0.0, 0.0, 0.0, 0.0)
        assert tuple(box.tolist()) == expected
        assert int(row.num_labelled()) == len(xy)
        assert int(row.visible().sum()) == int((row.xyv[..., 2] == 2).sum())


@given(gt.keypoints(dtype=torch.float64))
def test_coco_lists_round_trip(points):
    """Reading what was written gives the same points."""
    rows = points.to_coco()
    assert len(rows) == len(points)
    assert Keypoints.from_coco(rows, points.skeleton, dtype=torch.float64).equal(points)


def test_coco_files_are_written_as_they_were_read(shared_dir):
    """Every list of a real file comes back, and num_keypoints is the number of labelled points."""
    files = sorted((shared_dir / "data" / "coco_mini").rglob("*keypoints*.json"))
    rows = [a for file in files for a in json.loads(file.read_text())["annotations"]]
    person = Skeleton.coco_person()
    points = Keypoints.from_coco([row["keypoints"] for row in rows], person).validated()
    assert points.to_coco() == [row["keypoints"] for row in rows]
    assert points.num_labelled().tolist() == [row["num_keypoints"] for row in rows]
    assert int(points.num_labelled().max()) > 10


@given(seed=st.integers(0, 2**32 - 1))
def test_similarity_is_that_of_the_official_tool_on_its_own_lists(seed):
    """From COCO's lists and boxes to computeOks, points half a pixel apart included."""
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(seed)

    def rows(labelled):
        xy = rng.integers(0, 60, (3, 17, 2))
        v = rng.integers(1, 3, (3, 17, 1)) * np.reshape(labelled, (3, 1, 1))
        return np.concatenate([xy * (v > 0), v], axis=2).reshape(3, 51).tolist()

    found, wanted = rows([1, 1, 1]), rows([1, 0, 1])
    xywh = torch.from_numpy(rng.integers(1, 30, (3, 4))).double()
    areas = torch.from_numpy(rng.integers(1, 900, 3)).double()
    evaluation = cocoeval.COCOeval(iouType="keypoints")
    evaluation._dts[1, 1] = [{"score": 1 - i / 9, "keypoints": r} for i, r in enumerate(found)]
    evaluation._gts[1, 1] = [
        {"keypoints": row, "bbox": xywh[i].tolist(), "area": float(areas[i])}
        for i, row in enumerate(wanted)
    ]
    person = Skeleton.coco_person()
    ours = Keypoints.from_coco(found, person).oks(
        Keypoints.from_coco(wanted, person), areas=areas, boxes=Boxes.from_xywh(xywh)
    )
    # The tool's sigmas differ from COCO's decimals in the last digit; exponents reach hundreds.
    np.testing.assert_allclose(ours, evaluation.computeOks(1, 1), rtol=1e-12, atol=1e-307)


def test_heatmaps_lead_back_to_the_cell_of_a_point():
    """A point's cell, as the only peak of a map, decodes to a point within a cell's width."""
    boxes = Boxes(torch.tensor([[10.0, 20.0, 42.0, 52.0]]))
    points = Keypoints(torch.tensor([[[21.0, 33.0, 2.0], [9.0, 33.0, 2.0]]]), PAIR)
    cells, valid = points.heatmap_targets(boxes, 16)
    assert valid.tolist() == [[True, False]]
    maps = 20 * torch.nn.functional.one_hot(cells, 256).float().view(1, 2, 16, 16)
    found = Keypoints.from_heatmaps(maps, boxes, PAIR)
    assert float((found.xyv[0, 0, :2] - points.xyv[0, 0, :2]).abs().max()) <= 2
    assert 0 < float(found.xyv[0, 0, 2]) <= 1


def in_a_box(seed, angle_deg):
    """Random points around 4 rotated boxes, and heatmaps."""
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(4, 5, generator=generator) * 20 + 10
    boxes[:, 4] = angle_deg
    xyv = torch.rand(4, 2, 3, generator=generator) * 40
    xyv[:, :, 2] = 2
    maps = torch.randn(4, 2, 7, 7, generator=generator)
    return RotatedBoxes(boxes), Keypoints(xyv, PAIR), maps


@given(st.integers(0, 10**6), st.sampled_from([0.0, 360.0, -720.0]))
def test_heatmaps_in_a_box_of_angle_zero_are_the_upright_ones(seed, angle_deg):
    """Cells and decoded points are those of the horizontal box."""
    boxes, points, maps = in_a_box(seed, angle_deg)
    upright = boxes.hull()
    cells, valid = points.heatmap_targets(boxes, 16)
    upright_cells, upright_valid = points.heatmap_targets(upright, 16)
    # corners are rounded: a point may change its cell there
    assert (cells == upright_cells).double().mean() > 0.9
    assert (valid == upright_valid).double().mean() > 0.9
    found = Keypoints.from_heatmaps(maps, boxes, PAIR)
    expected = Keypoints.from_heatmaps(maps, upright, PAIR)
    torch.testing.assert_close(found.xyv, expected.xyv, rtol=0, atol=1e-4)


@given(st.integers(0, 10**6), st.integers(-4, 4), st.floats(-400, 400))
def test_heatmaps_turn_with_their_boxes(seed, turns, angle_deg):
    """Turned with their image, boxes and points keep their cells, and decoded points turn."""
    size = ImageSize(50, 60)
    boxes, points, maps = in_a_box(seed, angle_deg)
    turned = boxes.rotate_90(turns, size)
    cells, valid = points.heatmap_targets(boxes, 16)
    after = points.rotate_90(turns, size).heatmap_targets(turned, 16)
    assert (after[0] == cells).double().mean() > 0.8  # a point on the border of a cell may move
    assert (after[1] == valid).double().mean() > 0.8
    found = Keypoints.from_heatmaps(maps, boxes, PAIR).rotate_90(turns, size)
    moved = Keypoints.from_heatmaps(maps, turned, PAIR)
    torch.testing.assert_close(moved.xyv, found.xyv, rtol=0, atol=1e-4)


@given(st.integers(0, 10**6), st.floats(-400, 400))
def test_a_cell_of_a_rotated_box_leads_back_to_its_point(seed, angle_deg):
    """A point in a rotated box decodes, from its cell alone, to within a cell of itself."""
    boxes, _, _ = in_a_box(seed, angle_deg)
    unit = torch.rand(4, 2, 2, generator=torch.Generator().manual_seed(seed)) - 0.5
    corners = boxes.corners()
    along, down = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]
    xy = boxes.centers()[:, None] + unit[..., :1] * along[:, None] + unit[..., 1:] * down[:, None]
    points = Keypoints(torch.cat([xy, torch.full((4, 2, 1), 2.0)], dim=2), PAIR)
    cells, valid = points.heatmap_targets(boxes, 16)
    assert valid.double().mean() > 0.8  # rounding may put one outside
    peaks = 20 * torch.nn.functional.one_hot(cells, 256).float().view(4, 2, 16, 16)
    found = Keypoints.from_heatmaps(peaks, boxes, PAIR)
    distance = (found.xyv[..., :2] - xy).norm(dim=2)
    assert (distance[valid] <= 0.1 * 30 * 1.42).all()


def test_names_tell_the_flip_pairs():
    """left_x goes with right_x; a left point without a right one stays alone."""
    skeleton = Skeleton.from_names(["tip", "left_fin", "right_fin", "left_eye"], edges=[(0, 1)])
    assert skeleton.flip_pairs == ((1, 2),)
    assert skeleton.index("right_fin") == 2
    assert set(skeleton.sigmas) == {0.07}
    with pytest.raises(InvalidValueError, match=r"name: expected one of tip, left_fin, .* 'fin'"):
        skeleton.index("fin")


def test_lists_and_skeletons_that_do_not_fit_are_refused():
    """The message names the row, or both lists of points."""
    with pytest.raises(ShapeError, match=r"rows\[1\]: expected 6 numbers .* got 5"):
        Keypoints.from_coco([[0.0] * 6, [0.0] * 5], PAIR)
    other = Skeleton(names=["a", "b"], sigmas=[0.1, 0.1])
    points = Keypoints(torch.zeros(1, 2, 3), PAIR)
    with pytest.raises(InvalidValueError, match="targets: expected points left, right, got a, b"):
        points.oks(Keypoints(points.xyv, other), areas=torch.ones(1), boxes=points.boxes())


def test_no_instance_is_normal_everywhere():
    """Every method takes an empty table and gives an empty result."""
    none = Keypoints.empty(PAIR)
    assert none.boxes().xyxy.shape == (0, 4)
    assert none.oks(none, areas=torch.zeros(0), boxes=Boxes.empty()).shape == (0, 0)
    assert none.to_coco() == []
    assert Keypoints.from_coco([], PAIR).equal(none)
    assert none.rotate_90(1, SIZE).rotate(3.0, center=(0.0, 0.0)).clip_to(SIZE).equal(none)
    assert none.heatmap_targets(Boxes.empty(), 4)[0].shape == (0, 2)
    assert Keypoints.from_heatmaps(torch.zeros(0, 2, 4, 4), Boxes.empty(), PAIR).equal(none)


def test_empty_keypoints_have_the_points_of_their_skeleton():
    """No instance is a normal table."""
    assert Keypoints.empty(PAIR).flip_horizontally(SIZE).xyv.shape == (0, 2, 3)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"names": ["a", "a"]}, InvalidValueError, "names: expected different names"),
        ({"sigmas": [0.1]}, ShapeError, "sigmas: expected 2 rows"),
        ({"sigmas": [0.1, 0.0]}, InvalidValueError, "sigmas: expected a positive number for b"),
        ({"edges": [(0, 2)]}, InvalidValueError, r"edges: expected indices in \[0, 2\), got"),
        ({"flip_pairs": [(-1, 0)]}, InvalidValueError, "flip_pairs: expected indices in"),
        (
            {"flip_pairs": [(0, 1), (1, 0)]},
            InvalidValueError,
            "flip_pairs: expected each point at most once",
        ),
    ],
)
def test_a_skeleton_that_contradicts_itself_is_refused(values, error, message):
    """Each field is checked against the names."""
    with pytest.raises(error, match=message):
        Skeleton(**{"names": ["a", "b"], "sigmas": [0.1, 0.1], **values})


def test_metadata_is_checked_at_construction():
    """Shape, dtype and skeleton are errors at once."""
    with pytest.raises(ShapeError, match=r"xyv: expected \[n, k, 3\], got \[1, 2, 2\]"):
        Keypoints(torch.zeros(1, 2, 2), PAIR)
    with pytest.raises(ShapeError, match=r"xyv: expected \[n, 2, 3\] \(the skeleton's points\)"):
        Keypoints(torch.zeros(1, 3, 3), PAIR)
    with pytest.raises(DtypeError, match="xyv: expected a floating-point dtype"):
        Keypoints(torch.zeros(1, 2, 3, dtype=torch.int64), PAIR)
    with pytest.raises(DtypeError, match="skeleton: expected Skeleton, got list"):
        Keypoints(torch.zeros(1, 2, 3), ["a", "b"])


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ([float("nan"), 0.0, 2.0], "expected finite x, y, v, got [nan, 0.0, 2.0]"),
        ([0.0, 0.0, -1.0], "expected v >= 0, got [0.0, 0.0, -1.0]"),
    ],
)
def test_broken_values_name_place_row_point_and_numbers(point, message):
    """Validation says where the data came from, which row and point, and what it holds."""
    points = Keypoints(torch.tensor([[[0.0, 0.0, 0.0], point]]), PAIR)
    with pytest.raises(InvalidValueError) as caught:
        points.validated(where="a.json")
    assert str(caught.value) == f"a.json: keypoints row 0, right: {message}"
