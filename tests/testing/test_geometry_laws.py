"""Laws about geometry fail on functions and types that break them: each is shown a broken one."""

import pytest
import torch

from geodet import BitMasks, Boxes, ImageSize, Instances, Keypoints, RotatedBoxes, Skeleton, ops
from geodet import testing as gt
from geodet.transforms import HorizontalFlip

SIZE = ImageSize(8, 10)
BOXES = torch.tensor([[0.0, 0.0, 4.0, 4.0], [2.0, 0.0, 6.0, 4.0], [7.0, 1.0, 9.0, 3.0]])
SCORES = torch.tensor([0.5, 0.75, 0.25])
SKELETON = Skeleton(names=("a", "b", "c"), flip_pairs=[(0, 1)], sigmas=(0.1, 0.1, 0.1))


def broken(kind, **methods):
    """A subclass of a structure with some methods replaced."""
    return type("Broken", (kind,), {"__slots__": (), **methods})


def iou(a, b):
    """The right answer, to be spoilt."""
    return ops.pairwise_box_iou(a, b)


def inclusive(a, b):
    """IoU of boxes counted in pixels with the last one: the +1 that used to be everywhere."""
    grown = [torch.cat((x[:, :2], x[:, 2:] + 1), dim=1) for x in (a, b)]
    return iou(*grown)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda a, b: iou(a, b) * 1.01, "outside"),
        (lambda a, b: iou(a, b) - 1e-3, "outside"),
        (lambda a, b: iou(a, b) * 0.9, "with themselves"),
        (lambda a, b: iou(a, b * 1.25), r"of \(b, a\)|with themselves"),
        (lambda a, b: iou(a, b) * torch.nan, "not finite"),
        (lambda a, b: iou(a, b).diagonal(), "shape"),
    ],
)
def test_a_wrong_iou_is_caught(wrong, message):
    """Too large, negative, not 1, not symmetric, not a number and not pairwise all fail."""
    areas = ops.box_area(BOXES)
    gt.assert_iou_laws(iou, BOXES, BOXES[:2], areas=areas)
    with pytest.raises(AssertionError, match=message):
        gt.assert_iou_laws(
            wrong, BOXES, BOXES[:2] if "shape" not in message else BOXES, areas=areas
        )


def test_an_overlap_of_a_point_is_caught():
    """Counting a point as one pixel gives it an overlap."""
    point = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    with pytest.raises(AssertionError, match="with themselves"):
        gt.assert_iou_laws(inclusive, point, BOXES, areas=torch.zeros(1))


def test_an_iou_that_depends_on_place_or_scale_is_caught():
    """The +1 convention changes under scaling; rounding to float16 changes far away."""
    gt.assert_iou_is_unchanged_by(iou, lambda x: x * 4, BOXES, BOXES)
    with pytest.raises(AssertionError, match="after the step"):
        gt.assert_iou_is_unchanged_by(inclusive, lambda x: x * 4, BOXES, BOXES)
    with pytest.raises(AssertionError, match="after the step"):
        gt.assert_iou_is_unchanged_by(
            lambda a, b: iou(a.half(), b.half()), lambda x: x + 4001, BOXES, BOXES, atol=1e-3
        )


def test_matched_that_is_not_the_diagonal_is_caught():
    """Rows paired with their neighbours fail."""
    gt.assert_matched_is_diagonal(lambda a, b: iou(a, b).diagonal(), iou, BOXES, BOXES)
    with pytest.raises(AssertionError, match="matched against pairwise"):
        gt.assert_matched_is_diagonal(lambda a, b: iou(a, b).diagonal(1), iou, BOXES, BOXES)
    with pytest.raises(AssertionError, match=r"at \(0,\): expected 1, got 0.333333"):
        gt.assert_matched_is_diagonal(lambda a, b: iou(a, b)[0].roll(-1), iou, BOXES, BOXES)


def test_clipping_that_misses_is_caught():
    """Cutting at width - 1, cutting nothing, and cutting what is inside all fail."""

    def check(clip):
        gt.assert_clipping_laws(
            clip,
            lambda b: Boxes(b).inside(SIZE),
            lambda a, b: (a == b).all(1),
            torch.tensor([[1.0, 1.0, 10.0, 8.0], [-3.0, 2.0, 12.0, 9.0]]),
        )

    check(lambda b: Boxes(b).clip_to(SIZE).xyxy)
    with pytest.raises(AssertionError, match="clipped but not inside"):
        check(lambda b: b)
    with pytest.raises(AssertionError, match="changed what was inside"):
        check(lambda b: b.clamp(0, 7))
    with pytest.raises(AssertionError, match="twice differs"):
        check(lambda b: Boxes(b).clip_to(SIZE).xyxy / 2)


WRONG_METHODS = {
    "x1 > x2": {"flip_horizontally": lambda r, size: type(r)(size.width - r.xyxy)},
    "moves one corner": {"translate": lambda r, x, y: type(r)(r.xyxy + torch.tensor([x, y, 0, 0]))},
    "grows by one": {"area": lambda r: (r.widths() + 1) * (r.heights() + 1)},
    "scales one side": {"scale": lambda r, x, y: type(r)(r.xyxy * torch.tensor([x, 1.0, x, 1.0]))},
    "small hull": {"hull": lambda r: Boxes(torch.cat((r.centers(), r.centers()), dim=1))},
    "writes": {"centers": lambda r: r.xyxy.add_(1)[:, :2]},
    "all empty": {"nonempty": lambda r: r.area() < 0},
}


@pytest.mark.parametrize("name", WRONG_METHODS)
def test_a_wrong_method_of_a_region_is_caught(name):
    """A type with one wrong method fails; the type it was made from passes."""
    gt.assert_region_laws(Boxes(BOXES.clone()), SIZE)
    gt.assert_region_laws(RotatedBoxes.from_boxes(Boxes(BOXES)), SIZE)
    table = broken(Boxes, **WRONG_METHODS[name])(BOXES.clone())
    with pytest.raises(AssertionError):
        gt.assert_region_laws(table, SIZE)


def test_a_mirror_one_pixel_off_is_caught():
    """A mirror about width - 1 undoes itself; only the hulls, mirrored honestly, give it away."""

    def off_by_one(rotated, size):
        return RotatedBoxes.flip_horizontally(rotated, ImageSize(size.height, size.width - 1))

    rows = RotatedBoxes.from_boxes(Boxes(BOXES)).cxcywha
    with pytest.raises(AssertionError, match="hulls do not mirror"):
        gt.assert_region_laws(broken(RotatedBoxes, flip_horizontally=off_by_one)(rows), SIZE)


def pixels(seed=0, count=3):
    """Noise masks."""
    noise = torch.rand(count, *SIZE, generator=torch.Generator().manual_seed(seed))
    return noise < 0.4


@pytest.mark.parametrize(
    ("law", "methods"),
    [
        (gt.assert_pixel_mask_laws, {"area": lambda m: m.data.sum((1, 2)) + 1}),
        (
            gt.assert_pixel_mask_laws,
            {"boxes": lambda m: Boxes(BitMasks(m.data).boxes().xyxy - torch.tensor([0, 0, 1, 1]))},
        ),
        (gt.assert_pixel_mask_laws, {"flip_vertically": lambda m: type(m)(m.data.flip(2))}),
        (gt.assert_mask_laws, {"flip_vertically": lambda m: type(m)(m.data.roll(1, 1))}),
        (gt.assert_mask_laws, {"to_rle_masks": lambda m: BitMasks(~m.data).to_rle_masks()}),
        (gt.assert_mask_laws, {"to_bit_masks": lambda m: BitMasks(m.data[:, :-1])}),
        (gt.assert_mask_laws, {"area": lambda m: m.data.zero_()}),
    ],
)
def test_wrong_masks_are_caught(law, methods):
    """A miscounted area, a box with the last pixel cut off, a wrong mirror or conversion fail."""
    law(BitMasks(pixels()))
    with pytest.raises(AssertionError):
        law(broken(BitMasks, **methods)(pixels()))


class Sets:
    """Masks with the four set operations, to be spoilt one at a time."""

    def __init__(self, data):
        """Keep [n, h, w] bools."""
        self.data = data

    def to_bit_masks(self):
        """Return them as structures do."""
        return BitMasks(self.data)

    def area(self):
        """[n] pixels."""
        return self.data.sum((1, 2))

    def equal(self, other):
        """Compare pixels."""
        return torch.equal(self.data, other.data)

    def pairwise_iou(self, other):
        """[n, m], by the plain formula."""
        a, b = self.data.flatten(1).double(), other.data.flatten(1).double()
        shared = a @ b.T
        return shared / (a.sum(1)[:, None] + b.sum(1) - shared).clamp(min=1)

    def union(self, other):
        """Pixels of either."""
        return type(self)(self.data | other.data)

    def intersection(self, other):
        """Pixels of both."""
        return type(self)(self.data & other.data)

    def difference(self, other):
        """Pixels of this one alone."""
        return type(self)(self.data & ~other.data)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("union", lambda a, b: type(a)(a.data ^ b.data)),
        ("intersection", lambda a, b: type(a)(a.data & b.data.roll(1, 0))),
        ("difference", lambda a, b: type(a)(b.data & ~a.data)),
        ("equal", lambda a, b: False),
        ("area", lambda a: a.data.any(2).sum(1)),
    ],
)
def test_wrong_set_operations_are_caught(name, wrong):
    """Each spoilt operation fails, and the honest ones pass."""
    for kind, fails in ((Sets, False), (type("Wrong", (Sets,), {name: wrong}), True)):
        arguments = [kind(p) for p in (pixels(0), pixels(1), torch.ones_like(pixels()))]
        if fails:
            with pytest.raises(AssertionError):
                gt.assert_mask_set_laws(*arguments)
        else:
            gt.assert_mask_set_laws(*arguments)


def test_a_wrong_mask_iou_is_caught():
    """Leaving the shared pixels in the union twice fails."""
    a, b = Sets(pixels(0)), Sets(pixels(1, 2))
    gt.assert_mask_iou_is_that_of_pixels(a, b)

    def counted_twice(a, b):
        a, b = a.data.flatten(1).double(), b.data.flatten(1).double()
        return a @ b.T / (a.sum(1)[:, None] + b.sum(1))

    wrong = type("Wrong", (Sets,), {"pairwise_iou": counted_twice})
    with pytest.raises(AssertionError, match="IoU of masks at"):
        gt.assert_mask_iou_is_that_of_pixels(wrong(a.data), wrong(b.data))


@pytest.mark.parametrize(
    "methods",
    [
        {"flip_horizontally": lambda k, size: k._moved(size.width - k.xyv[..., 0], k.xyv[..., 1])},
        {"flip_horizontally": Keypoints.flip_vertically},
        {"translate": lambda k, x, y: type(k)(k.xyv + torch.tensor([x, y, 0]), k.skeleton)},
        {"scale": lambda k, x, y: type(k)(k.xyv * torch.tensor([x, y, x]), k.skeleton)},
    ],
)
def test_wrong_keypoints_are_caught(methods):
    """A mirror that swaps no sides or the wrong axis, and moved unlabelled points, fail."""
    xyv = torch.tensor([[[1.0, 2.0, 2.0], [3.0, 4.0, 1.0], [0.0, 0.0, 0.0]]])
    gt.assert_keypoint_laws(Keypoints(xyv, SKELETON), SIZE)
    with pytest.raises(AssertionError):
        gt.assert_keypoint_laws(broken(Keypoints, **methods)(xyv, SKELETON), SIZE)


def test_a_wrong_similarity_is_caught():
    """Above 1, below 1 for equal points, and dependent on the place all fail."""
    xyv = torch.tensor([[[1.0, 2.0, 2.0], [3.0, 4.0, 1.0], [5.0, 6.0, 2.0]]])
    points = Keypoints(torch.cat((xyv, xyv + torch.tensor([1.0, 1.0, 0.0]))), SKELETON)

    def distance(a, b):
        return (a.xyv[:, None, :, :2] - b.xyv[None, :, :, :2]).square().sum((2, 3))

    gt.assert_similarity_laws(lambda a, b: torch.exp(-distance(a, b)), points, points)
    for wrong, message in (
        (lambda a, b: torch.exp(-distance(a, b)) + 1e-4, "outside"),
        (lambda a, b: torch.exp(-distance(a, b)) * 0.5, "with itself"),
        (lambda a, b: torch.exp(-distance(a, b) / a.xyv[..., 0].mean()), "after moving"),
        (lambda a, b: torch.exp(-distance(a, b))[0], "shape"),
    ):
        with pytest.raises(AssertionError, match=message):
            gt.assert_similarity_laws(wrong, points, points)


def nms(boxes, scores):
    """The right answer at 0.3."""
    return ops.nms(boxes, scores, 0.3)


def chain(boxes, scores):
    """Drop whatever overlaps any better box, kept or not: not what greedy suppression does."""
    overlaps = iou(boxes, boxes) > 0.3
    better = scores[None] > scores[:, None]
    keep = (~(overlaps & better).any(1)).nonzero()[:, 0]
    return keep[scores[keep].argsort(descending=True)]


CHAIN = torch.tensor([[0.0, 0.0, 4.0, 4.0], [2.0, 0.0, 6.0, 4.0], [4.0, 0.0, 8.0, 4.0]])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda b, s: s.argsort(descending=True), "is kept although"),
        (lambda b, s: nms(b, s)[:1], "is dropped although"),
        (lambda b, s: nms(b, s).flip(0), "not best first"),
        (lambda b, s: nms(b, s).repeat(2), "kept twice"),
        (lambda b, s: nms(b, s) + len(s), "out of range"),
        (lambda b, s: nms(b, s).int(), "int32"),
    ],
)
def test_wrong_suppression_is_caught(wrong, message):
    """Too many, too few, out of order, repeated, out of range and mistyped all fail."""
    gt.assert_suppression_laws(nms, BOXES, SCORES, iou(BOXES, BOXES), 0.3)
    with pytest.raises(AssertionError, match=message):
        gt.assert_suppression_laws(wrong, BOXES, SCORES, iou(BOXES, BOXES), 0.3)


def test_suppression_by_dropped_boxes_is_caught():
    """A box that only a dropped one overlaps must stay."""
    scores = torch.tensor([0.9, 0.8, 0.7])
    gt.assert_suppression_laws(nms, CHAIN, scores, iou(CHAIN, CHAIN), 0.3)
    with pytest.raises(AssertionError, match="2 is dropped although no kept"):
        gt.assert_suppression_laws(chain, CHAIN, scores, iou(CHAIN, CHAIN), 0.3)


def test_suppression_that_depends_on_order_or_place_is_caught():
    """Visiting rows as they come, and shifting coordinates in float16, fail."""
    order = torch.tensor([1, 0, 2])
    gt.assert_suppression_ignores_order(nms, BOXES, SCORES, order)
    with pytest.raises(AssertionError, match="keeps"):
        gt.assert_suppression_ignores_order(
            lambda b, s: nms(b, torch.arange(len(s), 0, -1.0)), BOXES, SCORES, order
        )
    with pytest.raises(AssertionError, match="expected different scores"):
        gt.assert_suppression_ignores_order(nms, BOXES, torch.zeros(3), order)
    gt.assert_suppression_is_unchanged_by(nms, lambda b: b + 4096, BOXES, SCORES)
    with pytest.raises(AssertionError, match="after the step"):
        gt.assert_suppression_is_unchanged_by(
            lambda b, s: nms(b.half(), s), lambda b: b + 8191, BOXES, SCORES
        )


def test_groups_kept_apart_by_an_offset_are_caught():
    """Shifting each group by its number times the largest coordinate loses precision."""
    groups = torch.tensor([0, 0, 1])

    def shifted(boxes, scores, groups):
        return nms(boxes + groups[:, None] * (boxes.max() + 1), scores)

    def honest(boxes, scores, groups):
        return ops.batched_nms(boxes, scores, groups, 0.3)

    gt.assert_groups_are_independent(nms, honest, BOXES, SCORES, groups)
    with pytest.raises(AssertionError, match="groups"):
        gt.assert_groups_are_independent(nms, shifted, BOXES, SCORES, groups)
    with pytest.raises(AssertionError, match="groups keep"):
        gt.assert_groups_are_independent(
            nms, lambda b, s, g: nms(b, s), BOXES, SCORES, torch.tensor([0, 1, 0])
        )


class Drops(HorizontalFlip):
    """Loses the last row."""

    def apply_instances(self, instances):
        """Flip all rows but one."""
        return super().apply_instances(instances[:-1])


class Sorts(HorizontalFlip):
    """Moves boxes to other rows than their labels."""

    def _boxes(self, boxes):
        return super()._boxes(boxes)[::-1]


class Relabels(HorizontalFlip):
    """Changes labels."""

    def apply_instances(self, instances):
        """Flip, and add one to every label."""
        flipped = super().apply_instances(instances)
        return flipped.with_(labels=flipped.labels + 1)


class Shifts(HorizontalFlip):
    """Mirrors about the wrong axis, then calls that its own inverse of another."""

    def inverse(self):
        """Return the honest mirror."""
        return HorizontalFlip(self.source)

    def _boxes(self, boxes):
        return super()._boxes(boxes).translate(-1.0, 0.0)


def test_wrong_transforms_are_caught():
    """Dropped rows, rows out of step, changed labels and an inverse that misses all fail."""
    table = Instances(SIZE, boxes=Boxes(BOXES), labels=torch.arange(3))
    gt.assert_transform_keeps_rows(HorizontalFlip(SIZE), table, slice(0, 2))
    gt.assert_inverse_takes_back(HorizontalFlip(SIZE), table, rtol=0, atol=0)
    for kind, message in ((Drops, "3 rows became 2"), (Sorts, "differ"), (Relabels, "labels")):
        with pytest.raises(AssertionError, match=message):
            gt.assert_transform_keeps_rows(kind(SIZE), table, slice(0, 2))
    with pytest.raises(AssertionError, match="the inverse gives"):
        gt.assert_inverse_takes_back(Shifts(SIZE), table)


def test_area_that_does_not_scale_is_caught():
    """A count of pixels with the last one does not grow fourfold."""
    areas = ops.box_area
    gt.assert_area_scales(areas, lambda b: b * 2, BOXES, factor=4.0)
    with pytest.raises(AssertionError, match="area after the step"):
        gt.assert_area_scales(areas, lambda b: b * 2, BOXES, factor=2.0)
