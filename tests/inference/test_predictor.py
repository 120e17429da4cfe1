"""The predictor around a detector whose answer is known: the box of the bright pixels."""

from collections.abc import Sequence

import attrs
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from geodet.errors import (
    DtypeError,
    GeodetError,
    ImageDecodeError,
    InvalidValueError,
    ShapeError,
)
from geodet.evaluation import CocoEvaluator
from geodet.inference import Predictor
from geodet.models.detectors import mask_rcnn_fpn
from geodet.models.preprocess import Preprocess
from geodet.structures import (
    BitMasks,
    Boxes,
    ImageSize,
    Instances,
    PanopticSegmentation,
    RleMasks,
    RoiMasks,
    ScenePrediction,
    Segment,
    SemanticScores,
)
from geodet.visualize import draw_instances


class BrightBox(nn.Module):
    """Finds the bounding box of pixels above 128; remembers how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.trained = nn.Dropout(0.5)
        self.frozen = nn.Dropout(0.5).eval()
        self.calls: list[list[tuple[int, int]]] = []
        self.modes: list[bool] = []
        self.grad_modes: list[bool] = []

    def forward(self, images: Sequence[Tensor]) -> list[Instances]:
        """One box per picture that has bright pixels."""
        self.calls.append([tuple(image.shape[1:]) for image in images])
        self.modes.append(self.training or self.trained.training)
        self.grad_modes.append(torch.is_grad_enabled())
        return [self._find(image) for image in images]

    def _find(self, image: Tensor) -> Instances:
        size = ImageSize(*image.shape[1:])
        rows, columns = (image[0] > 128).nonzero(as_tuple=True)
        if len(rows) == 0:
            return Instances(
                size, boxes=Boxes.empty(), labels=torch.zeros(0).long(), scores=torch.zeros(0)
            )
        corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        boxes = Boxes(torch.tensor([[float(corner) for corner in corners]]))
        return Instances(size, boxes=boxes, labels=torch.tensor([0]), scores=torch.tensor([0.9]))


def picture(height: int, width: int, box: tuple[int, int, int, int]) -> Tensor:
    """Black picture with one white box (x1, y1, x2, y2)."""
    x1, y1, x2, y2 = box
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[:, y1:y2, x1:x2] = 255
    return image


def predictor(**options) -> Predictor:
    """Shorter side 50, longer at most 120."""
    settings = {"class_names": ["bright"], "short_edge": 50, "max_long_edge": 120}
    return Predictor(BrightBox(), **(settings | options))


@pytest.mark.parametrize(
    ("height", "width", "model_size"),
    [(100, 160, (50, 80)), (25, 30, (50, 60)), (100, 400, (30, 120)), (50, 50, (50, 50))],
)
def test_boxes_come_back_in_pixels_of_the_picture_as_given(height, width, model_size):
    """The model sees the resized picture; its boxes are scaled back to the given one."""
    box = (width // 4, height // 4, width // 2, height // 2)
    run = predictor()
    (found,) = run([picture(height, width, box)])

    assert run.model.calls == [[model_size]]
    assert found.image_size == ImageSize(height, width)
    # Half a pixel of the resized picture: there the edge is a ramp that 128 cuts.
    tolerance = max(1.0, height / model_size[0])
    torch.testing.assert_close(
        found.boxes.xyxy, torch.tensor([box], dtype=torch.float32), rtol=0, atol=tolerance
    )


def test_batches_hold_at_most_batch_size_pictures_and_keep_the_order():
    """Five pictures in batches of two; each result belongs to its picture."""
    pictures = [picture(50, 50 + 10 * i, (10, 10, 20 + i, 30)) for i in range(5)]
    run = predictor(batch_size=2)
    found = run(pictures)

    assert [len(call) for call in run.model.calls] == [2, 2, 1]
    assert [instances.image_size.width for instances in found] == [50, 60, 70, 80, 90]
    assert [round(float(instances.boxes.xyxy[0, 2])) for instances in found] == [20, 21, 22, 23, 24]


def test_stream_asks_for_pictures_as_it_goes():
    """The first result comes before the third picture is read."""
    asked = []

    def source():
        for index in range(4):
            asked.append(index)
            yield picture(50, 50, (0, 0, 9, 9))

    stream = predictor(batch_size=2).stream(source())
    next(stream)

    assert asked == [0, 1]


def test_model_runs_in_evaluation_mode_and_gets_its_modes_back():
    """No dropout, no gradients; layers that were frozen before are frozen after."""
    run = predictor()
    run.model.train()
    run.model.frozen.eval()
    run([picture(50, 50, (0, 0, 9, 9))])

    assert run.model.modes == [False]
    assert run.model.grad_modes == [False]
    assert run.model.training
    assert run.model.trained.training
    assert not run.model.frozen.training


def test_modes_come_back_after_an_error():
    """A model that fails is not left in evaluation mode."""

    class Failing(nn.Module):
        def forward(self, images):
            raise RuntimeError("broken")

    run = Predictor(Failing().train(), class_names=[], short_edge=50, max_long_edge=None)
    with pytest.raises(RuntimeError, match="broken"):
        run([picture(50, 50, (0, 0, 9, 9))])

    assert run.model.training


def test_every_kind_of_picture_gives_what_its_tensor_gives(tmp_path):
    """Files, Pillow images and arrays are decoded and then treated as a tensor."""
    image = picture(40, 60, (5, 6, 20, 30))
    array = image.permute(1, 2, 0).numpy()
    path = tmp_path / "a.png"
    Image.fromarray(array).save(path)
    run = predictor()
    expected = run([image])[0]

    assert len(expected) == 1
    for given in (path, str(path), Image.fromarray(array), array, image):
        assert run([given])[0].equal(expected)
        assert run(given).equal(expected)
    grey = Image.fromarray(array).convert("L")
    assert run(grey).equal(expected)


def test_pillow_images_are_turned_upright_like_files(tmp_path):
    """An image in memory with EXIF data gives what its file gives."""
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(40, 60, (5, 6, 20, 30)).permute(1, 2, 0).numpy()).save(path, exif=exif)
    with Image.open(path) as opened:
        from_memory = predictor()(opened)

    assert from_memory.image_size == ImageSize(60, 40)
    assert from_memory.equal(predictor()(path))


def test_one_in_gives_one_out_and_a_list_gives_a_list():
    """Also a list or tuple of one."""
    image = picture(50, 50, (0, 0, 9, 9))
    run = predictor()

    assert isinstance(run(image), Instances)
    assert [len(found) for found in run([image])] == [1]
    assert len(run((image, image))) == 2


def test_nothing_to_see_and_no_pictures_are_normal():
    """A black picture has no instances; no pictures give no results."""
    run = predictor()
    (found,) = run([picture(50, 50, (0, 0, 0, 0))])

    assert len(found) == 0
    assert found.image_size == ImageSize(50, 50)
    assert run([]) == []


def test_unfit_input_is_an_error_that_names_the_picture(tmp_path):
    """Wrong shapes, dtypes and types, files that are no images, settings without sense."""
    good = picture(50, 50, (0, 0, 9, 9))
    run = predictor()
    bad = {
        "grey tensor": (good[:1], ShapeError, r"pictures\[1\]: .*\[3, h, w\], got \[1, 50, 50\]"),
        "channels last": (good.permute(1, 2, 0), ShapeError, r"pictures\[1\].*permute\(2, 0, 1\)"),
        "channels first": (good.numpy(), ShapeError, r"pictures\[1\].*transpose\(1, 2, 0\)"),
        "stack": (good[None], ShapeError, r"pictures\[1\].*as a list"),
        "no pixel": (good[:, :0], ShapeError, r"pictures\[1\]"),
        "floats": (good.float(), DtypeError, r"pictures\[1\].*uint8"),
        "float array": (np.ones((9, 9, 3)), DtypeError, r"pictures\[1\].*uint8 array of 0..255"),
        "bytes": (b"abc", DtypeError, r"pictures\[1\]: expected a path.*got bytes"),
        "no file": ("nowhere.png", ImageDecodeError, r"nowhere\.png"),
        "float image": (Image.new("F", (9, 9)), ImageDecodeError, r"pictures\[1\]: holds floating"),
    }
    for value, error, message in bad.values():
        with pytest.raises(error, match=message):
            run([good, value])
    with pytest.raises(ShapeError, match="picture: "):
        run(good[:1])
    with pytest.raises(InvalidValueError, match="batch_size"):
        predictor(batch_size=0)
    with pytest.raises(InvalidValueError, match=r"masks.*'rle'.*'polygons'"):
        predictor(masks="polygons")
    with pytest.raises(InvalidValueError, match="max_long_edge=9"):
        Predictor(BrightBox(), max_long_edge=9)
    with pytest.raises(InvalidValueError, match="at least 1 pixel"):
        Predictor(BrightBox(), short_edge=0)
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(ImageDecodeError, match=r"a\.jpg"):
        run([tmp_path / "a.jpg"])


def test_resizing_is_pillows_bilinear():
    """What the model sees is Pillow's picture, bit for bit."""
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 90, 70), dtype=np.uint8))
    seen = []

    class Spy(BrightBox):
        def forward(self, images):
            seen.extend(images)
            return super().forward(images)

    Predictor(Spy(), class_names=["bright"], short_edge=35, max_long_edge=None)([image])
    wanted = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((35, 45), Image.BILINEAR)

    assert (seen[0].permute(1, 2, 0).numpy() == np.asarray(wanted)).all()


def test_the_models_own_preprocess_says_how_pictures_are_resized():
    """Its sizes are the default, arguments replace them, and without either nothing is resized."""
    image = picture(100, 160, (40, 25, 80, 50))

    def seen(own_short=None, own_long=None, **options):
        model = BrightBox()
        model.preprocess = Preprocess(
            channel_order="rgb",
            mean=(0.0,) * 3,
            std=(1.0,) * 3,
            short_edge=own_short,
            max_long_edge=own_long,
        )
        Predictor(model, **options)(image)
        return model.calls

    assert seen(50, 120) == [[(50, 80)]]
    assert seen(50, 60) == [[(38, 60)]]
    assert seen(50, 60, short_edge=50) == [[(50, 80)]]
    assert seen() == [[(100, 160)]]
    bare = BrightBox()
    Predictor(bare)(image)
    assert bare.calls == [[(100, 160)]]


def test_rows_come_by_descending_score_and_ties_keep_their_order():
    """Whatever order the model returns them in."""

    class Unordered(nn.Module):
        def forward(self, images):
            boxes = Boxes(torch.tensor([[0.0, 0.0, 9.0, 9.0]]).repeat(4, 1))
            scores = torch.tensor([0.2, 0.9, 0.5, 0.9])
            return [
                Instances(ImageSize(20, 20), boxes=boxes, scores=scores, labels=torch.arange(4))
            ]

    found = Predictor(Unordered())(picture(20, 20, (0, 0, 9, 9)))
    assert found.labels.tolist() == [1, 3, 2, 0]


class SoftMasks(nn.Module):
    """Two boxes with soft masks, at half the picture's size."""

    def forward(self, images):
        """Predictions for 20 x 30 pixels."""
        size = ImageSize(*images[0].shape[1:])
        boxes = Boxes(torch.tensor([[1.0, 2.0, 15.0, 14.0], [8.0, 3.0, 28.0, 19.0]]))
        grids = torch.rand(2, 7, 7, generator=torch.Generator().manual_seed(0))
        return [
            Instances(
                size,
                boxes=boxes,
                scores=torch.tensor([0.5, 0.8]),
                labels=torch.tensor([0, 1]),
                masks=RoiMasks(grids, boxes, size),
            )
            for _ in images
        ]


def test_masks_come_in_the_form_that_was_asked_for():
    """Run lengths unless asked otherwise; all forms have the same pixels, in the same order."""
    image = picture(40, 60, (0, 0, 9, 9))
    found = {
        form: Predictor(SoftMasks(), short_edge=20, masks=form)(image)
        for form in ("rle", "roi", "bit")
    }
    default = Predictor(SoftMasks(), short_edge=20)(image)

    assert isinstance(default.masks, RleMasks)
    assert isinstance(found["roi"].masks, RoiMasks)
    assert isinstance(found["bit"].masks, BitMasks)
    bits = found["bit"].masks.data
    assert bits.shape == (2, 40, 60)
    assert bits.flatten(1).any(1).all()
    assert torch.equal(found["rle"].masks.to_bit_masks().data, bits)
    assert torch.equal(found["roi"].masks.to_bit_masks().data, bits)
    assert [each.labels.tolist() for each in found.values()] == [[1, 0]] * 3


class Pixels(nn.Module):
    """Scores the two classes of a picture by its brightness, one cell for two pixels."""

    def forward(self, images):
        """Class 1 where it is bright."""
        found = []
        for image in images:
            size = ImageSize(*image.shape[1:])
            bright = image[0, ::2, ::2].float() - 128
            found.append(
                SemanticScores(
                    torch.stack([-bright, bright]), stride=2, input_size=size, image_size=size
                )
            )
        return found


def test_scores_of_pixels_come_back_for_the_picture_as_given():
    """The class of each pixel at the picture's size, whatever size the model saw."""
    image = picture(40, 60, (20, 10, 50, 30))
    found = Predictor(Pixels(), short_edge=20)(image)
    classes = found.to_semantic_map()

    assert found.image_size == ImageSize(40, 60)
    # A cell of the model covers four pixels of the picture: so wide is the border.
    assert (classes.labels[14:26, 24:46] == 1).all()
    assert classes.labels[6:34, 16:54].sum() == classes.labels.sum()


@attrs.frozen
class Brightest:
    """Merges a scene of one object and one background."""

    def merge(self, instances, semantic):
        """Pixels of the first object, and the rest."""
        ids = torch.ones(semantic.image_size.as_tuple(), dtype=torch.int32)
        ids[instances.masks[0].to_bit_masks().data[0]] = 2
        return PanopticSegmentation(
            ids, [Segment(1, 1, is_thing=False), Segment(2, 0, is_thing=True)]
        )


class Everything(nn.Module):
    """Objects and pixels together."""

    def __init__(self):
        super().__init__()
        self.objects, self.pixels = SoftMasks(), Pixels()

    def forward(self, images):
        """One scene per picture."""
        pairs = zip(self.objects(images), self.pixels(images), strict=True)
        return [ScenePrediction(objects, pixels, Brightest()) for objects, pixels in pairs]


def test_scenes_come_back_with_both_parts_rescaled():
    """Objects sorted and in the form asked for, pixels and merged scene at the picture's size."""
    image = picture(40, 60, (20, 10, 50, 30))
    found = Predictor(Everything(), short_edge=20)(image)

    assert found.instances.labels.tolist() == [1, 0]
    assert isinstance(found.instances.masks, RleMasks)
    assert found.instances.image_size == found.semantic.image_size == ImageSize(40, 60)
    assert found.panoptic.image_size == ImageSize(40, 60)
    assert int((found.panoptic.ids == 2).sum()) == int(found.instances.masks[0].area())


def test_a_model_with_another_number_of_results_is_named():
    """A broken model is no silent misalignment."""

    class Forgetful(BrightBox):
        def forward(self, images):
            return super().forward(images)[1:]

    with pytest.raises(GeodetError, match="Forgetful: expected one prediction per image"):
        Predictor(Forgetful())(picture(40, 60, (0, 0, 9, 9)))


def test_a_real_mask_rcnn_can_be_evaluated_and_drawn():
    """Random weights: every row fits the given picture and goes through the rooms behind."""
    torch.manual_seed(0)
    model = mask_rcnn_fpn(
        num_classes=3,
        depth=18,
        width=16,
        fpn_channels=16,
        box_features=(32,),
        score_threshold=0.0,
        max_detections=5,
    )
    run = Predictor(model, class_names=["a", "b", "c"], short_edge=64, max_long_edge=96)
    image = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8)
    (found,) = run([image])
    evaluator = CocoEvaluator(num_classes=3, class_names=run.class_names)
    evaluator.update(1, found, found.with_(scores=None, masks=found.masks))
    report = evaluator.result()

    assert 0 < len(found) <= 5
    assert found.boxes.inside(ImageSize(50, 70)).all()
    assert found.masks.to_bit_masks().data.shape == (len(found), 50, 70)
    assert report["boxes"].ap > 0.99
    assert not torch.equal(draw_instances(image, found, class_names=run.class_names), image)
