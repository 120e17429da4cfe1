"""Many texts in two tensors, so that loader workers share them instead of copying them."""

from collections.abc import Sequence

import attrs
import numpy as np
import torch
from torch import Tensor

__all__ = ["TextTable"]


@attrs.frozen(eq=False)
class TextTable:
    """n texts, UTF-8, end to end.

    A list of Python strings is copied page by page in every forked worker, because reading a
    string writes its reference count; and it is pickled whole to every spawned one. Tensors are
    shared in both cases.

    Args:
        text: uint8 [t], the bytes of all texts.
        offsets: int64 [n + 1], where each text begins.
    """

    text: Tensor
    offsets: Tensor

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> "TextTable":
        """Pack texts in their order. Empty: no texts give a table of length 0."""
        encoded = [text.encode() for text in texts]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        data = np.frombuffer(bytearray(b"".join(encoded)), dtype=np.uint8)
        return cls(torch.from_numpy(data.copy()), torch.from_numpy(offsets))

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        """Return one text."""
        begin, end = self.offsets[index : index + 2].tolist()
        return self.text[begin:end].numpy().tobytes().decode()
