// The order in which suppression visits boxes, from a NumPy array of scores.
#pragma once

#include <memory>

#include "arrays.hpp"
#include "geodet/ranking.hpp"
#include "memory.hpp"

namespace geodet::bindings {

template <typename T>
std::unique_ptr<std::int64_t[]> score_order_of(const py::array& scores, std::int64_t n) {
  const T* data = read<T>(scores, 1, "scores");
  size(scores, 0, n, "scores");
  auto order = memory_of(8 * n);
  const auto scratch = memory_of(ranking_scratch_bytes(n, static_cast<std::int64_t>(sizeof(T))));
  raise_unless_ok(rank_best_first(data, n, scratch.get(), order.get()));
  return order;
}

// Indices of n scores, float or double, best first. Keeps the GIL.
inline std::unique_ptr<std::int64_t[]> score_order(const py::array& scores, std::int64_t n) {
  if (scores.dtype().equal(py::dtype::of<double>())) return score_order_of<double>(scores, n);
  return score_order_of<float>(scores, n);
}

}  // namespace geodet::bindings
