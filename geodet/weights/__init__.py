"""Files of weights: fetching and reading them safely, and fitting them into a model."""

from geodet.weights.archives import as_tensors, read_archive
from geodet.weights.downloads import Progress, download
from geodet.weights.files import read_tensors, write_tensors
from geodet.weights.fitting import LoadReport, load_weights
from geodet.weights.mismatch import Difference
from geodet.weights.pickles import read_pickle

__all__ = [
    "Difference",
    "LoadReport",
    "Progress",
    "as_tensors",
    "download",
    "load_weights",
    "read_archive",
    "read_pickle",
    "read_tensors",
    "write_tensors",
]
