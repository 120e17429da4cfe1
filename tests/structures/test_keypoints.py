"""Keypoints and skeletons: mirrors swap sides, unlabelled points stay, messages."""

import pytest
import torch
from hypothesis import given

from geodet import DtypeError, ImageSize, InvalidValueError, Keypoints, ShapeError, Skeleton
from geodet import testing as gt

SIZE = ImageSize(9, 14)
PAIR = Skeleton(names=["left", "right"], flip_pairs=[(0, 1)], sigmas=[0.1, 0.1])


def test_the_person_of_coco_matches_its_annotation_files(shared_dir):
    """Names and edges equal those in a COCO keypoint file (which counts points from 1)."""
    import json

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
