"""Test-time augmentation: one view changes nothing, mirrors cancel, parts are averaged."""

import pytest
import torch
from torch import nn

from geodet import ops
from geodet.errors import CompositionError, InvalidValueError
from geodet.inference import AugmentedModel, Predictor, multi_scale_views
from geodet.models.detectors import fcos_fpn, keypoint_rcnn_fpn, mask_rcnn_fpn
from geodet.models.heads import KeypointHead, RegionHead
from geodet.structures import (
    Boxes,
    ImageSize,
    Instances,
    Keypoints,
    RoiMasks,
    RotatedBoxes,
    ScenePrediction,
    SemanticScores,
    Skeleton,
)
from geodet.transforms import Compose, HorizontalFlip, Identity, Resize, VerticalFlip

FACE = Skeleton(names=("left", "right"), flip_pairs=((0, 1),), sigmas=(0.1, 0.1))


def alone(size):
    """The image itself."""
    return [Identity(size)]


def mirrors(size):
    """The image and its two mirrors."""
    return [Identity(size), HorizontalFlip(size), VerticalFlip(size)]


def mirrored(size):
    """The mirrored image alone."""
    return [HorizontalFlip(size)]


def twice_as_large(size):
    """A mirror of the image at twice its size."""
    larger = Resize(size, ImageSize(2 * size.height, 2 * size.width))
    return [Compose((larger, HorizontalFlip(larger.target)))]


def picture(x1=10, y1=20, x2=40, y2=50, size=(64, 80)):
    """Black with a bright box whose left half is brighter."""
    image = torch.zeros(3, *size)
    image[:, y1:y2, x1:x2] = 200
    image[:, y1:y2, x1 : (x1 + x2) // 2] = 250
    return image


TINY = {
    "num_classes": 3,
    "depth": 18,
    "width": 8,
    "fpn_channels": 16,
    "score_threshold": 0.0,
    "max_detections": 6,
}


@pytest.mark.parametrize("family", ["mask_rcnn", "fcos"])
def test_the_image_alone_gives_what_the_plain_model_gives(family):
    """One view that changes nothing: equal boxes, scores, classes and masks."""
    torch.manual_seed(0)
    if family == "mask_rcnn":
        model, threshold = mask_rcnn_fpn(**TINY, box_features=(16,), mask_convs=(8,)), 0.5
    else:
        model, threshold = fcos_fpn(**TINY, head_convs=1), 0.6
    augmented = AugmentedModel(model, views=alone, nms_threshold=threshold, max_detections=6)
    with torch.no_grad():
        for size in ((64, 160), (50, 130)):
            image = torch.rand(3, *size) * 255
            (expected,) = model.eval()([image])
            (found,) = augmented([image])
            assert len(found) == len(expected) > 0
            assert torch.equal(found.labels, expected.labels)
            torch.testing.assert_close(found.boxes.xyxy, expected.boxes.xyxy)
            torch.testing.assert_close(found.scores, expected.scores)
            assert found.columns().keys() == expected.columns().keys()
            if found.masks is not None:
                torch.testing.assert_close(found.masks.probabilities, expected.masks.probabilities)


class BrightFace(nn.Module):
    """Finds the box of bright pixels, and calls the points in its halves left and right."""

    def __init__(self, rotated=False):
        super().__init__()
        self.rotated = rotated
        self.sizes = []

    def forward(self, images):
        """One object per image."""
        self.sizes += [tuple(image.shape[1:]) for image in images]
        return [self._find(image) for image in images]

    def _find(self, image):
        size = ImageSize(*image.shape[1:])
        rows, columns = (image[0] > 100).nonzero(as_tuple=True)
        x1, y1, x2, y2 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        box = torch.stack([x1, y1, x2, y2]).float()[None]
        middle, quarter = (y1 + y2) / 2, (x2 - x1) / 4
        points = [[x1 + quarter, middle, 0.9], [x2 - quarter, middle, 0.9]]
        return Instances(
            size,
            boxes=Boxes(box).to_rotated() if self.rotated else Boxes(box),
            labels=torch.tensor([1]),
            scores=torch.tensor([0.7]),
            keypoints=Keypoints(torch.tensor([points]), FACE),
        )


def upside_down(size):
    """The image standing on its head."""
    return [VerticalFlip(size)]


@pytest.mark.parametrize("views", [alone, upside_down, mirrored, twice_as_large])
@pytest.mark.parametrize("rotated", [False, True])
def test_a_model_that_mirrors_with_its_image_gives_the_same_answer(views, rotated):
    """Boxes of all views fall together; left stays left in a mirrored view."""
    model = BrightFace(rotated)
    image = picture()
    (plain,) = model([image])
    (found,) = AugmentedModel(model, views=views)([image])

    assert len(found) == 1
    assert type(found.boxes) is type(plain.boxes)
    torch.testing.assert_close(found.boxes.hull().xyxy, plain.boxes.hull().xyxy)
    if views is upside_down:  # a head at the bottom faces the other way: its left is its right
        plain = plain.with_(keypoints=Keypoints(plain.keypoints.xyv[:, [1, 0]], FACE))
    torch.testing.assert_close(found.keypoints.xyv, plain.keypoints.xyv)
    assert found.image_size == plain.image_size


def test_a_mirrored_view_without_exchange_would_be_wrong():
    """The point that the mirrored view calls left is the image's right one."""
    image = picture()
    (view,) = BrightFace()([image.flip(-1)])
    (found,) = AugmentedModel(BrightFace(), views=mirrored)([image])
    assert found.keypoints.xyv[0, 0, 0] == 80 - view.keypoints.xyv[0, 1, 0]
    assert found.keypoints.xyv[0, 0, 0] < found.keypoints.xyv[0, 1, 0]


class Two(nn.Module):
    """Says something else of each view: scores and boxes by the picture's width."""

    def forward(self, images):
        """The better the wider; one box is common, one is the view's own."""
        found = []
        for image in images:
            width, height = image.shape[2], image.shape[1]
            common = [0.1 * width, 0.1 * height, 0.5 * width, 0.5 * height]
            own = [0.55 * width, 0.5 * height, (0.6 + width / 1000) * width, height]
            found.append(
                Instances(
                    ImageSize(height, width),
                    boxes=Boxes(torch.tensor([common, own])),
                    labels=torch.tensor([0, 1]),
                    scores=torch.tensor([width / 1000, 0.5 + width / 1000]),
                )
            )
        return found


def test_detections_of_all_views_are_merged_within_their_class():
    """Equal boxes become one, with the best score; others stay; the best come first."""
    image = torch.zeros(3, 100, 100, dtype=torch.uint8)
    views = multi_scale_views((100, 200), max_long_edge=None, flip=False)
    (found,) = AugmentedModel(Two(), views=views, nms_threshold=0.65)([image])
    assert found.labels.tolist() == [1, 1, 0]
    torch.testing.assert_close(found.scores, torch.tensor([0.7, 0.6, 0.2]))
    torch.testing.assert_close(found.boxes.xyxy[2], torch.tensor([10.0, 10.0, 50.0, 50.0]))
    (found,) = AugmentedModel(Two(), views=views, max_detections=1)([image])
    torch.testing.assert_close(found.scores, torch.tensor([0.7]))


def test_views_are_the_sizes_and_mirrors_that_were_asked_for():
    """Detectron2's sizes by default, each also mirrored; the longer side is limited."""
    size = ImageSize(100, 200)
    assert len(multi_scale_views()(size)) == 18
    resized, mirrored, small, _ = multi_scale_views((50, 80), max_long_edge=120)(size)
    assert resized.target == mirrored.target == ImageSize(50, 100)
    assert small.target == ImageSize(60, 120)
    assert isinstance(mirrored.transforms[1], HorizontalFlip)
    model = BrightFace()
    image = picture(size=(100, 200)).to(torch.uint8)
    found = Predictor(AugmentedModel(model, views=multi_scale_views((50, 80))))(image)
    assert model.sizes == [(50, 100)] * 2 + [(80, 160)] * 2
    assert found.image_size == size
    torch.testing.assert_close(
        found.boxes.xyxy, torch.tensor([[10.0, 20.0, 40.0, 50.0]]), rtol=0, atol=2.0
    )


class PixelHead(RegionHead):
    """Predicts the pixels of a region; with a calling count."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.pooler, self.num_classes = kind, None, None
        self.in_channels, self.in_side = 1, 8

    def losses(self, regions, truth, rows):
        """None."""
        return {}

    def predict(self, regions):
        """Not used: the model below reads its images itself."""
        raise AssertionError

    def column(self, predicted, boxes, size):
        """Brightness as a soft mask."""
        return RoiMasks(predicted, boxes, size)


class Painter(nn.Module):
    """A detector of one fixed object whose head says what it sees in the box."""

    def __init__(self, box, noise=0.0):
        super().__init__()
        self.box, self.noise = box, noise
        self.region_heads = {"masks": PixelHead(None)}
        self.calls = 0

    def forward(self, images):
        """The box of the image as it was given, wherever the view has put it."""
        return [
            Instances(
                ImageSize(*image.shape[1:]),
                boxes=self.box[:0] if i else self.box,
                labels=torch.zeros(0 if i else 1, dtype=torch.int64),
                scores=torch.ones(0 if i else 1),
            )
            for i, image in enumerate(images)
        ]

    def region_outputs(self, images, instances):
        """Pixels inside the boxes, resampled to 8 x 8."""
        outputs = []
        for image, table in zip(images, instances, strict=True):
            boxes = table.boxes.to_rotated().cxcywha
            rois = torch.cat([torch.zeros(len(boxes), 1), boxes], 1)
            pixels = ops.roi_align_rotated(
                image[None, :1] / 255, rois, (8, 8), spatial_scale=1.0, sampling_ratio=2
            )
            outputs.append({"masks": pixels[:, 0] + self.noise * self.calls})
            self.calls += 1
        return outputs


@pytest.mark.parametrize("rotated", [False, True])
def test_heads_look_into_the_merged_boxes_of_every_view(rotated):
    """What a head says of a mirrored region comes back as of the region itself."""
    torch.manual_seed(0)
    image = torch.nn.functional.interpolate(
        torch.rand(1, 3, 8, 10) * 255, size=(64, 80), mode="bicubic"
    )[0].clamp(0, 255)
    row = [35.0, 30.0, 40.0, 24.0, 25.0 if rotated else 0.0]
    box = RotatedBoxes(torch.tensor([row]))
    box = box if rotated else box.to_boxes()
    model = Painter(box)
    plain = model.region_outputs([image], model([image]))[0]["masks"]
    augmented = AugmentedModel(model, views=mirrors, views_per_batch=3)
    (found,) = augmented([image])

    assert len(found) == 1
    torch.testing.assert_close(found.masks.probabilities, plain, rtol=1e-4, atol=1e-4)
    assert plain.std() > 0.05
    model = Painter(box, noise=1.0)
    (found,) = AugmentedModel(model, views=mirrors, views_per_batch=3)([image])
    torch.testing.assert_close(found.masks.probabilities, plain + 1.0, rtol=1e-4, atol=1e-4)


def test_heatmaps_of_left_and_right_points_change_places():
    """A keypoint head mirrors its maps and exchanges their names, twice is not at all."""
    skeleton = Skeleton(names=("nose", "left", "right"), flip_pairs=((1, 2),), sigmas=(0.1,) * 3)
    head = KeypointHead(
        pooler=None, in_channels=4, in_side=4, skeleton=skeleton, conv_channels=(4,)
    )
    maps = torch.randn(2, 3, 16, 16)
    mirrored_maps = head.mirrored(maps, dim=-1)
    assert torch.equal(mirrored_maps[:, 1], maps[:, 2].flip(-1))
    assert torch.equal(mirrored_maps[:, 0], maps[:, 0].flip(-1))
    assert torch.equal(head.mirrored(mirrored_maps, dim=-1), maps)


def test_a_keypoint_detector_alone_gives_what_the_plain_model_gives():
    """Heatmaps of one view are decoded in the same boxes to the same points."""
    torch.manual_seed(0)
    tiny = TINY | {"num_classes": 1}
    model = keypoint_rcnn_fpn(**tiny, box_features=(16,), keypoint_convs=(8,), skeleton=FACE)
    image = torch.rand(3, 64, 80) * 255
    with torch.no_grad():
        (expected,) = model.eval()([image])
        (found,) = AugmentedModel(model, views=alone, max_detections=6)([image])
        (both,) = AugmentedModel(model, views=mirrors, max_detections=6)([image])
    torch.testing.assert_close(found.keypoints.xyv, expected.keypoints.xyv)
    assert len(found) > 0
    assert both.keypoints.xyv.isfinite().all()
    assert both.keypoints.xyv.shape == (len(both), 2, 3)


class Thirds(nn.Module):
    """Scores of two classes that mirror with the image."""

    def forward(self, images):
        """Brightness against darkness, of 4 x 4 cells."""
        found = []
        for image in images:
            size = ImageSize(*image.shape[1:])
            cells = nn.functional.avg_pool2d(image[:1].float() / 25, 4)
            logits = torch.cat([cells, 5 - cells])
            found.append(SemanticScores(logits, stride=4, input_size=size, image_size=size))
        return found


def test_probabilities_of_pixels_are_averaged():
    """One view keeps the classes; mirrors cancel; the mean is one of probabilities."""
    image = picture()
    (plain,) = Thirds()([image])
    (same,) = AugmentedModel(Thirds(), views=alone)([image])
    torch.testing.assert_close(same.dense().softmax(0), plain.dense().softmax(0))
    (found,) = AugmentedModel(Thirds(), views=mirrors)([image])
    torch.testing.assert_close(found.dense().softmax(0), plain.dense().softmax(0))
    (larger,) = AugmentedModel(Thirds(), views=twice_as_large)([image])
    assert larger.image_size == plain.image_size
    both = AugmentedModel(Thirds(), views=lambda size: alone(size) + twice_as_large(size))
    (found,) = both([image])
    mean = (same.dense().softmax(0) + larger.dense().softmax(0)) / 2
    torch.testing.assert_close(found.dense().exp(), mean)


class Everything(nn.Module):
    """A scene of both."""

    def __init__(self):
        super().__init__()
        self.objects, self.pixels = BrightFace(), Thirds()

    def forward(self, images):
        """Objects and pixels."""
        pairs = zip(self.objects(images), self.pixels(images), strict=True)
        return [ScenePrediction(one, other, Merging()) for one, other in pairs]


class Merging:
    """A rule."""

    def merge(self, instances, semantic):
        """Never asked."""
        raise AssertionError


def test_a_scene_is_made_of_averaged_parts():
    """Objects merged, probabilities averaged, the rule kept."""
    image = picture()
    (plain,) = Everything()([image])
    (found,) = AugmentedModel(Everything(), views=mirrors)([image])
    torch.testing.assert_close(found.instances.boxes.xyxy, plain.instances.boxes.xyxy)
    torch.testing.assert_close(found.semantic.dense().exp(), plain.semantic.dense().softmax(0))
    assert isinstance(found.merging, Merging)


def test_nothing_found_in_any_view_is_normal():
    """No instances from no view; no images give no predictions."""

    class Blind(nn.Module):
        def forward(self, images):
            return [
                Instances.empty(ImageSize(*image.shape[1:])).with_(scores=torch.zeros(0))
                for image in images
            ]

    augmented = AugmentedModel(Blind(), views=mirrors)
    (found,) = augmented([picture()])
    assert len(found) == 0
    assert found.image_size == ImageSize(64, 80)
    assert augmented([]) == []


def test_senseless_settings_and_models_are_errors():
    """Numbers, views and mixed predictions."""
    for options in ({"nms_threshold": 0.0}, {"max_detections": 0}, {"views_per_batch": 0}):
        with pytest.raises(InvalidValueError, match=next(iter(options))):
            AugmentedModel(BrightFace(), **options)
    with pytest.raises(InvalidValueError, match="at least one view"):
        AugmentedModel(BrightFace(), views=lambda size: [])([picture()])

    class Mixed(nn.Module):
        def forward(self, images):
            made = BrightFace() if images[0].shape[1] == 64 else Thirds()
            return made(images)

    both = lambda size: alone(size) + twice_as_large(size)  # noqa: E731
    with pytest.raises(CompositionError, match="one kind, got Instances, SemanticScores"):
        AugmentedModel(Mixed(), views=both)([picture()])
