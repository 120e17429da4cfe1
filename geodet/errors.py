"""Every error geodet raises on purpose, each also the builtin a Python user would catch."""


class GeodetError(Exception):
    """Root of all errors that geodet raises on purpose."""


class ShapeError(GeodetError, ValueError):
    """A tensor has the wrong rank, size or number of rows."""


class DtypeError(GeodetError, TypeError):
    """A value has the wrong type, or a tensor the wrong dtype."""


class DeviceError(GeodetError, ValueError):
    """Tensors live on different devices, or on one that cannot do this."""


class InvalidValueError(GeodetError, ValueError):
    """Numbers that break an invariant: not finite, out of order, out of range."""


class BackendError(GeodetError, RuntimeError):
    """A compiled module is missing, or does not fit what was asked of it."""


class MissingDependencyError(GeodetError, ImportError):
    """An optional package is needed here; the message says how to install it."""


class DataError(GeodetError, ValueError):
    """A file or record of a data set is broken; the message names file, image and row."""


class ImageDecodeError(DataError):
    """An image file cannot be read as an image."""


class CompositionError(GeodetError, ValueError):
    """Two parts of a model do not fit each other; the message names both."""


class RecipeError(GeodetError, ValueError):
    """A recipe, config file or command-line override is wrong."""


class CheckpointError(GeodetError, RuntimeError):
    """A checkpoint is missing, damaged or belongs to another model."""


class TrainingError(GeodetError, RuntimeError):
    """Training cannot go on (a loss is not finite, a worker died)."""


class EvaluationError(GeodetError, ValueError):
    """Predictions or targets cannot be evaluated as given."""


__all__ = [
    "BackendError",
    "CheckpointError",
    "CompositionError",
    "DataError",
    "DeviceError",
    "DtypeError",
    "EvaluationError",
    "GeodetError",
    "ImageDecodeError",
    "InvalidValueError",
    "MissingDependencyError",
    "RecipeError",
    "ShapeError",
    "TrainingError",
]
