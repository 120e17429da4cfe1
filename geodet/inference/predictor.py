"""A trained model as a function from pictures to predictions."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias, cast, get_args, overload

import torch
from torch import Tensor, nn

from geodet.errors import GeodetError, InvalidValueError
from geodet.inference.pictures import Picture, is_picture, to_tensor
from geodet.models.detectors import rescale_instances, rescale_prediction
from geodet.models.preprocess import Preprocess
from geodet.structures import ImageSize, Instances, ScenePrediction, SemanticScores
from geodet.transforms import Resize, ResizeShortestEdge, shortest_edge_size

__all__ = ["MaskForm", "Prediction", "Predictor"]

MaskForm: TypeAlias = Literal["rle", "roi", "bit"]
Prediction: TypeAlias = Instances | SemanticScores | ScenePrediction


class Predictor:
    """Resizes pictures as the model wants them, runs it, and maps results back.

    Every module of the model is in evaluation mode during a call and as before after it; no
    gradients are recorded.

    Args:
        model: images in, one prediction per image out: `Instances` of a detector,
            `SemanticScores` of a model of pixels, or a `ScenePrediction` of both. Its
            `preprocess`, when it has one, says how pictures are resized.
        class_names: name of each label, for whoever draws or prints the results; None when
            nobody knows them.
        short_edge: the shorter side is resized to this, pixels; None as the model's Preprocess
            says, and not at all when that says nothing.
        max_long_edge: with `short_edge`, the longer side is at most this; None for no limit.
        batch_size: pictures that go through the model together.
        device: where the model is moved to; None leaves it. Results come back to the CPU.
        masks: form of the masks of instances: "rle" are exact run lengths, "roi" the soft masks
            of the model inside its boxes, "bit" bools of every pixel.
    Raises:
        InvalidValueError: a size is not positive, or there is no such form of masks.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        class_names: Sequence[str] | None = None,
        short_edge: int | None = None,
        max_long_edge: int | None = None,
        batch_size: int = 1,
        device: torch.device | str | None = None,
        masks: MaskForm = "rle",
    ) -> None:
        if batch_size < 1:
            raise InvalidValueError(f"batch_size: expected at least 1, got {batch_size}")
        if masks not in get_args(MaskForm):
            raise InvalidValueError(
                f"masks: expected one of {', '.join(map(repr, get_args(MaskForm)))}, got {masks!r}"
            )
        if max_long_edge is not None and short_edge is None:
            raise InvalidValueError(
                f"max_long_edge={max_long_edge}: limits a resize, but short_edge is None; give"
                " both, or neither to take the model's own sizes"
            )
        self.device = _device_of(model) if device is None else torch.device(device)
        self.model = model.to(self.device)
        self.class_names = None if class_names is None else tuple(class_names)
        self.batch_size = batch_size
        self.masks: MaskForm = masks
        preprocess = getattr(model, "preprocess", None)
        if short_edge is None and isinstance(preprocess, Preprocess):
            short_edge, max_long_edge = preprocess.short_edge, preprocess.max_long_edge
        if short_edge is not None:
            ResizeShortestEdge((short_edge,), max_long_edge)  # checks both
        self.short_edge = short_edge
        self.max_long_edge = max_long_edge

    # A path as text is a sequence of texts, too: the first line that fits counts.
    @overload
    def __call__(self, pictures: Picture) -> Prediction: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, pictures: Sequence[Picture]) -> list[Prediction]: ...

    def __call__(self, pictures: Picture | Sequence[Picture]) -> Prediction | list[Prediction]:
        """Predict what is in one picture, or in each of several.

        Args:
            pictures: one picture or a list of them, of any sizes: paths, Pillow images, uint8
                RGB arrays [h, w, 3] or uint8 RGB tensors [3, h, w].
        Returns:
            One prediction, or a list with one per picture, on the CPU, in pixels of the picture
            as given; instances by descending score.
        Raises:
            DtypeError, ShapeError: a picture is not as described; names it.
            ImageDecodeError: a file cannot be read as an image; names it.
        Empty: no pictures give an empty list.
        """
        if is_picture(pictures):
            return self._predict([to_tensor("picture", pictures)])[0]
        return list(self.stream(cast("Sequence[Picture]", pictures)))

    def stream(self, pictures: Iterable[Picture]) -> Iterator[Prediction]:
        """Like a call with a list, but lazy: one batch of pictures is in memory at a time."""
        source = enumerate(pictures)
        while batch := list(itertools.islice(source, self.batch_size)):
            images = [to_tensor(f"pictures[{index}]", item) for index, item in batch]
            yield from self._predict(images)

    def _predict(self, images: list[Tensor]) -> list[Prediction]:
        sizes = [ImageSize(*image.shape[1:]) for image in images]
        inputs = [self._resized(image, size) for image, size in zip(images, sizes, strict=True)]
        with torch.inference_mode(), _evaluating(self.model):
            found: list[Prediction] = self.model(inputs)
        if len(found) != len(images):
            raise GeodetError(
                f"{type(self.model).__name__}: expected one prediction per image"
                f" ({len(images)}), got {len(found)}"
            )
        return [self._finished(each, size) for each, size in zip(found, sizes, strict=True)]

    def _resized(self, image: Tensor, size: ImageSize) -> Tensor:
        if self.short_edge is not None:
            wanted = shortest_edge_size(size, self.short_edge, self.max_long_edge)
            image = Resize(size, wanted).apply_image(image)
        return image.to(self.device)

    def _finished(self, found: Prediction, size: ImageSize) -> Prediction:
        """In pixels of the picture, best first, masks in the form that was asked for."""
        if isinstance(found, ScenePrediction):
            # Objects are merged as soft masks: the scene is made when it is asked for.
            scaled = rescale_prediction(found, size)
            instances = self._in_form(scaled.instances.sorted_by_score())
            return found.with_parts(instances, scaled.semantic).to("cpu")
        if isinstance(found, SemanticScores):
            return found.resize(size).to("cpu")
        return self._in_form(rescale_instances(found, size).sorted_by_score()).to("cpu")

    def _in_form(self, instances: Instances) -> Instances:
        """Convert masks where the model is: what comes back is short."""
        masks = instances.masks
        if masks is None or self.masks == "roi":
            return instances
        wanted = masks.to_rle_masks() if self.masks == "rle" else masks.to_bit_masks()
        return instances.with_(masks=wanted)


def _device_of(model: nn.Module) -> torch.device:
    tensors = itertools.chain(model.parameters(), model.buffers())
    return next((each.device for each in tensors), torch.device("cpu"))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode, and each back into its own mode afterwards."""
    # Per module: train() on the whole model would wake up layers that were frozen on purpose.
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
