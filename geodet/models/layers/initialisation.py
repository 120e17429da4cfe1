"""Initial weights, as Caffe2 and Detectron2 draw them."""

from torch import nn

__all__ = ["fill_c2_msra", "fill_c2_xavier", "fill_normal", "fill_transformer", "fill_zeros"]

_Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def fill_c2_msra(layer: _Weighted) -> None:
    """Normal with variance 2 / fan_out, bias 0; for layers followed by a ReLU.

    Reference: He et al. 2015, equation 14.
    """
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    _zero_bias(layer)


def fill_c2_xavier(layer: _Weighted) -> None:
    """Uniform in +-sqrt(3 / fan_in), bias 0; what Caffe2 calls XavierFill."""
    nn.init.kaiming_uniform_(layer.weight, a=1)
    _zero_bias(layer)


def fill_normal(layer: _Weighted, std: float) -> None:
    """Normal with standard deviation `std`, bias 0; for predictors that start undecided."""
    nn.init.normal_(layer.weight, std=std)
    _zero_bias(layer)


def fill_zeros(layer: _Weighted) -> None:
    """Weight and bias 0; for predictors that start by changing nothing."""
    nn.init.zeros_(layer.weight)
    _zero_bias(layer)


def fill_transformer(part: nn.Module) -> None:
    """Every linear layer of a part normal with standard deviation 0.02, biases 0."""
    for layer in part.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            _zero_bias(layer)


def _zero_bias(layer: _Weighted) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
