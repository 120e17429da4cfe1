"""Files of weights: reading them safely, and fitting them into a model or saying why not."""

from geodet.weights.archives import as_tensors, read_archive
from geodet.weights.files import read_tensors, write_tensors
from geodet.weights.fitting import LoadReport, load_weights
from geodet.weights.mismatch import Difference
from geodet.weights.pickles import read_pickle

__all__ = [
    "Difference",
    "LoadReport",
    "as_tensors",
    "load_weights",
    "read_archive",
    "read_pickle",
    "read_tensors",
    "write_tensors",
]
