"""Truth of centres against a slow, obvious reference, pixel by pixel."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet import testing as gt
from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.models import CenterTargets
from geodet.structures import ImageList, ImageSize, PanopticSegmentation, SceneLabels, Segment

LABELS = SceneLabels.all_semantic(num_things=2, num_stuff=2)
SIZE = ImageSize(9, 12)


@st.composite
def scenes(draw):
    """Scenes of classes 0 to 3, of which 0 and 1 are things, some crowds."""
    scene = draw(gt.panoptic_segmentations(image_size=SIZE))
    segments = [
        Segment(s.id, s.label, is_thing=s.label < 2, is_crowd=draw(st.booleans()))
        for s in scene.segments
    ]
    return PanopticSegmentation(scene.ids, segments)


def reference(scene, rule):
    """Planes by loops over segments and pixels: class, weight, heat, down, right, two weights."""
    height, width = scene.image_size
    planes = {
        (y, x): {"label": -1, "pixel": 1.0, "heat": 0.0, "down": 0.0, "right": 0.0, "h": 0, "o": 0}
        for y in range(height)
        for x in range(width)
    }
    for segment in scene.segments:
        places = [(y, x) for y, x in planes if scene.ids[y, x] == segment.id]
        thing = segment.label in rule.labels.things
        for place in places:
            own = planes[place]
            own["label"] = -1 if segment.is_crowd and rule.ignore_crowd else segment.label
            own["h"] = int(not segment.is_crowd)
            own["o"] = int(not segment.is_crowd and (thing or rule.offsets_of_stuff))
        if not thing or not places:
            continue
        cy = sum(y for y, _ in places) / len(places)
        cx = sum(x for _, x in places) / len(places)
        for y, x in places:
            planes[y, x]["down"], planes[y, x]["right"] = cy - y, cx - x
            if len(places) < rule.small_area:
                planes[y, x]["pixel"] = rule.small_weight
        for (y, x), own in planes.items():
            dy, dx = abs(y - round(cy)), abs(x - round(cx))
            if max(dy, dx) <= 3 * rule.sigma + 1:
                own["heat"] = max(own["heat"], math.exp(-(dy**2 + dx**2) / (2 * rule.sigma**2)))
    return planes


def plane(planes, name):
    """[h, w] of one number of the reference."""
    values = [planes[y, x][name] for y in range(SIZE.height) for x in range(SIZE.width)]
    return torch.tensor(values).view(SIZE.as_tuple())


@given(
    scene=scenes(),
    sigma=st.sampled_from([1, 2, 10]),
    area=st.integers(0, 20),
    flags=st.tuples(st.booleans(), st.booleans()),
)
def test_truth_is_that_of_the_reference(scene, sigma, area, flags):
    """Means of pixels, greatest bump, weights of crowds, background and small objects."""
    rule = CenterTargets(
        labels=LABELS,
        sigma=sigma,
        small_area=area,
        offsets_of_stuff=flags[0],
        ignore_crowd=flags[1],
    )
    batch = ImageList.from_images([torch.zeros(3, *SIZE)], size_divisor=16)
    truth = rule.make([scene], batch)
    inside = (0, slice(0, SIZE.height), slice(0, SIZE.width))
    planes = reference(scene, rule)
    centers = truth.centers
    assert torch.equal(truth.labels[inside], plane(planes, "label"))
    for found, name in (
        (truth.pixel_weights, "pixel"),
        (centers.heat, "heat"),
        (centers.offsets[:, 0], "down"),
        (centers.offsets[:, 1], "right"),
        (centers.heat_weights, "h"),
        (centers.offset_weights, "o"),
    ):
        assert torch.allclose(found[inside], plane(planes, name).float(), atol=1e-5), name
        assert not found[0, SIZE.height :].any()
        assert not found[0, :, SIZE.width :].any()
    assert (truth.labels[0, SIZE.height :] == -1).all()


def test_targets_that_do_not_fit_are_named():
    """Number, type, size, numbers out of range."""
    rule = CenterTargets(labels=LABELS)
    batch = ImageList.from_images([torch.zeros(3, *SIZE)])
    with pytest.raises(ShapeError, match="one per image"):
        rule.make([], batch)
    with pytest.raises(DtypeError, match=r"targets\[0\].*target_maker\('panoptic'\)"):
        rule.make([None], batch)
    with pytest.raises(ShapeError, match=r"targets\[0\].*together"):
        rule.make([PanopticSegmentation.empty(ImageSize(2, 2))], batch)
    with pytest.raises(InvalidValueError, match="sigma"):
        CenterTargets(labels=LABELS, sigma=0)
