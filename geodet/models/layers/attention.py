"""Attention between grids of tokens, with biases from relative positions.

Shapes: b images or windows, m heads, d channels of a head; queries lie on a grid of
qh x qw, keys on one of kh x kw.
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["attend", "decomposed_bias", "relative_embeddings"]


def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention: softmax(q k^T / sqrt(d) + bias) v.

    Args:
        queries: [b, m, q, d].
        keys: [b, m, k, d].
        values: [b, m, k, d].
        bias: broadcasts to [b, m, q, k]; added to the scaled products. Of any floating dtype.
    Returns:
        [b, m, q, d].
    Empty: b = 0 gives b = 0.
    """
    if bias is not None and bias.requires_grad and bias.device.type == "cpu":
        # The fused kernel of the CPU has no gradient for its bias; what torch falls back to is
        # up to 2.6 times slower than these lines.
        scale = queries.shape[-1] ** -0.5
        logits = (queries * scale) @ keys.transpose(-2, -1) + bias
        mixed: Tensor = logits.softmax(dim=-1).to(values.dtype) @ values
        return mixed
    bias = None if bias is None else bias.to(queries.dtype)
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)


def relative_embeddings(table: Tensor, num_queries: int, num_keys: int) -> Tensor:
    """Embedding of every offset between queries and keys along one axis.

    The coarser of the two axes is scaled up to the finer one. A table made for another length is
    interpolated linearly.

    Args:
        table: [l, d], one row per offset; l = 2 * max(num_queries, num_keys) - 1 needs no
            interpolation.
        num_queries: length of the axis of queries.
        num_keys: length of the axis of keys.
    Returns:
        [num_queries, num_keys, d].
    Reference: Li et al. 2021 (arXiv 2112.01526), section 4.1.
    """
    longest = 2 * max(num_queries, num_keys) - 1
    if table.shape[0] != longest:
        table = functional.interpolate(table.T[None], size=longest, mode="linear")[0].T
    query_step = max(num_keys / num_queries, 1.0)
    key_step = max(num_queries / num_keys, 1.0)
    queries = torch.arange(num_queries, device=table.device)[:, None] * query_step
    keys = torch.arange(num_keys, device=table.device)[None] * key_step
    offsets = queries - keys + (num_keys - 1) * key_step
    return table[offsets.long()]


def decomposed_bias(
    queries: Tensor,
    table_h: Tensor,
    table_w: Tensor,
    query_hw: tuple[int, int],
    key_hw: tuple[int, int],
) -> Tensor:
    """Bias of attention from the vertical and the horizontal offset, each with its own table.

    Args:
        queries: [b, m, qh * qw, d], not scaled.
        table_h: [l, d] of vertical offsets, as `relative_embeddings` takes it.
        table_w: [l, d] of horizontal ones.
        query_hw: qh and qw.
        key_hw: kh and kw.
    Returns:
        [b, m, qh * qw, kh * kw].
    Empty: b = 0 gives b = 0.
    Reference: Li et al. 2021 (arXiv 2112.01526), equation 5.
    """
    (qh, qw), (kh, kw) = query_hw, key_hw
    grid = queries.unflatten(2, (qh, qw))
    vertical = torch.einsum("bmhwd,hkd->bmhwk", grid, relative_embeddings(table_h, qh, kh))
    horizontal = torch.einsum("bmhwd,wkd->bmhwk", grid, relative_embeddings(table_w, qw, kw))
    bias = vertical[..., :, None] + horizontal[..., None, :]
    return bias.flatten(4).flatten(2, 3)
