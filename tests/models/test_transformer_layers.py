"""Parts of transformers, each against its definition written out in loops."""

import math

import pytest
import torch
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.layers import (
    DropPath,
    attend,
    decomposed_bias,
    drop_path_rates,
    grid_positions,
    join_windows,
    relative_embeddings,
    split_windows,
)


def _attention_by_definition(queries, keys, values, bias):
    """One output number after the other, in double precision."""
    out = torch.zeros_like(queries)
    for b in range(queries.shape[0]):
        for m in range(queries.shape[1]):
            for i in range(queries.shape[2]):
                logits = [
                    float(queries[b, m, i] @ keys[b, m, j]) / math.sqrt(queries.shape[-1])
                    + float(bias[b, m, i, j])
                    for j in range(keys.shape[2])
                ]
                weights = [math.exp(logit - max(logits)) for logit in logits]
                for weight, value in zip(weights, values[b, m], strict=True):
                    out[b, m, i] += weight / sum(weights) * value
    return out


@pytest.mark.parametrize("with_gradient", [False, True])
def test_attention_is_its_definition(with_gradient):
    """Both ways of computing it, with a bias that learns and with one that does not."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 2, n, 4, generator=generator).double() for n in (5, 3, 3))
    bias = torch.randn(2, 2, 5, 3, generator=generator).double().requires_grad_(with_gradient)
    wanted = _attention_by_definition(q, k, v, bias.detach())
    torch.testing.assert_close(attend(q, k, v, bias).detach(), wanted)


def test_attention_with_and_without_a_learning_bias_agree_in_value_and_gradient():
    """The fused kernel and the plain lines are one function."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 9, 8, generator=generator) for _ in range(3))
    bias = torch.randn(1, 2, 9, 9, generator=generator)
    leaves = [[x.clone().requires_grad_() for x in (q, k, v)] for _ in range(2)]
    fused = attend(*leaves[0], bias)
    plain = attend(*leaves[1], bias.clone().requires_grad_())
    torch.testing.assert_close(fused, plain)
    fused.square().sum().backward()
    plain.square().sum().backward()
    for one, other in zip(*leaves, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("num_queries", "num_keys"), [(4, 4), (4, 2), (2, 4), (3, 6), (1, 1)])
def test_relative_embeddings_are_rows_by_scaled_offset(num_queries, num_keys):
    """Row 0 belongs to the first query and the last key; the coarser axis counts in big steps."""
    table = torch.randn(2 * max(num_queries, num_keys) - 1, 3)
    embeddings = relative_embeddings(table, num_queries, num_keys)
    assert embeddings.shape == (num_queries, num_keys, 3)
    query_step, key_step = max(num_keys / num_queries, 1), max(num_queries / num_keys, 1)
    for i in range(num_queries):
        for j in range(num_keys):
            row = int(i * query_step + (num_keys - 1 - j) * key_step)
            assert torch.equal(embeddings[i, j], table[row])


def test_table_of_another_length_is_interpolated_linearly():
    """A straight line stays one away from its ends, where interpolation repeats the end."""
    table = torch.arange(27.0)[:, None]
    embeddings = relative_embeddings(table, 32, 32)[:, :, 0]  # 63 rows out of 27
    by_offset = torch.stack([embeddings[0].flip(0), embeddings[:, 0]]).flatten()
    wanted = ((torch.arange(63.0) + 0.5) * 27 / 63 - 0.5).clamp(0, 26)
    torch.testing.assert_close(by_offset, torch.cat([wanted[:32], wanted[31:]]))


@pytest.mark.parametrize(("query_hw", "key_hw"), [((3, 4), (3, 4)), ((4, 2), (2, 1))])
def test_decomposed_bias_is_a_sum_over_axes_of_every_pair(query_hw, key_hw):
    """For each query and key: q . table_h[vertical offset] + q . table_w[horizontal offset]."""
    generator = torch.Generator().manual_seed(0)
    (qh, qw), (kh, kw) = query_hw, key_hw
    queries = torch.randn(2, 3, qh * qw, 5, generator=generator)
    tables = [torch.randn(2 * side - 1, 5, generator=generator) for side in query_hw]
    bias = decomposed_bias(queries, *tables, query_hw, key_hw)
    assert bias.shape == (2, 3, qh * qw, kh * kw)
    step_h, step_w = qh // kh, qw // kw
    for b in range(2):
        for m in range(3):
            for i in range(qh * qw):
                for j in range(kh * kw):
                    row = i // qw - j // kw * step_h + (kh - 1) * step_h
                    column = i % qw - j % kw * step_w + (kw - 1) * step_w
                    wanted = queries[b, m, i] @ (tables[0][row] + tables[1][column])
                    torch.testing.assert_close(bias[b, m, i, j], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 1), (3, 9)])
def test_windows_are_cut_in_order_and_joined_again(size):
    """Window (r, c) of an image holds its tokens, zeros beyond the edge; joining undoes it."""
    tokens = torch.randn(2, *size, 3)
    windows = split_windows(tokens, 3)
    rows, columns = (-(-side // 3) for side in size)
    assert windows.shape == (2 * rows * columns, 3, 3, 3)
    padded = functional.pad(tokens, (0, 0, 0, columns * 3 - size[1], 0, rows * 3 - size[0]))
    for b in range(2):
        for r in range(rows):
            for c in range(columns):
                wanted = padded[b, 3 * r : 3 * r + 3, 3 * c : 3 * c + 3]
                assert torch.equal(windows[(b * rows + r) * columns + c], wanted)
    assert torch.equal(join_windows(windows, size), tokens)


def test_windows_of_no_image():
    """B = 0 gives no window and comes back as b = 0."""
    windows = split_windows(torch.zeros(0, 5, 7, 2), 3)
    assert windows.shape == (0, 3, 3, 2)
    assert join_windows(windows, (5, 7)).shape == (0, 5, 7, 2)


def test_grid_positions_keep_their_grid_and_follow_others():
    """The learnt size is returned as it is; others are torch's bicubic interpolation."""
    embeddings = torch.randn(1, 9, 2)
    assert torch.equal(grid_positions(embeddings, (3, 3)), embeddings.view(1, 3, 3, 2))
    maps = embeddings.view(1, 3, 3, 2).permute(0, 3, 1, 2)
    wanted = functional.interpolate(maps, size=(4, 7), mode="bicubic", align_corners=False)
    assert torch.equal(grid_positions(embeddings, (4, 7)), wanted.permute(0, 2, 3, 1))


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    """A sample is 0 or divided by the share kept; nothing happens outside training."""
    torch.manual_seed(0)
    layer = DropPath(0.25)
    branch = torch.ones(4000, 2, 3)
    dropped = layer(branch)
    per_sample = dropped[:, 0, 0]
    assert torch.equal(dropped, per_sample[:, None, None].expand_as(dropped))
    assert set(per_sample.tolist()) == {0.0, float(torch.ones(()) / 0.75)}
    assert abs(float(per_sample.mean()) - 1.0) < 0.05  # 5.5 standard errors of 4000 draws
    assert layer.eval()(branch) is branch
    assert DropPath(0.0)(branch) is branch


@pytest.mark.parametrize("probability", [-0.1, 1.0])
def test_drop_path_refuses_what_is_no_probability(probability):
    """1 would divide by 0."""
    with pytest.raises(CompositionError, match="DropPath"):
        DropPath(probability)


def test_drop_path_rates_grow_evenly():
    """From 0 at the first block to the rate given at the last."""
    assert drop_path_rates(0.3, 4) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert drop_path_rates(0.3, 1) == [0.0]
