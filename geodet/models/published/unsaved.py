"""Tensors of our models that other libraries' files do not hold, and need not."""

from collections.abc import Mapping

from torch import Tensor, nn

from geodet.models.losses import EmaNormaliser

__all__ = ["COUNTER", "unsaved_tensors"]

COUNTER = "num_batches_tracked"


def unsaved_tensors(
    model: nn.Module, names: Mapping[str, str], given: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What stays as it is in the model: step counters of norms, and normalisers of losses.

    Args:
        model: about to be loaded.
        names: our names -> the file's.
        given: by the file's names.
    Returns:
        The model's own tensors, by the file's names, where the file has none.
    """
    kept = {
        names[ours]: value
        for ours, value in model.state_dict().items()
        if ours.endswith(COUNTER) and names[ours.replace(COUNTER, "running_mean")] in given
    }
    for name, part in model.named_modules():
        if isinstance(part, EmaNormaliser):
            kept[names[f"{name}.value"]] = part.value
    return {key: value for key, value in kept.items() if key not in given}
