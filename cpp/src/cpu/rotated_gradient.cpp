#include <algorithm>

#include "geodet/parallel.hpp"
#include "geodet/rotated_iou.hpp"
#include "geodet/rotated_overlap.hpp"
#include "geodet/rotated_pairs.hpp"

namespace geodet {
namespace {

// To the next multiple of 8: floats lie before doubles.
constexpr std::int64_t aligned(std::int64_t bytes) { return (bytes + 7) / 8 * 8; }

// Rows are cut into this many ranges whatever the threads are. Each has its own sums for the
// columns, which are added up in the order of the ranges: no result depends on the threads.
constexpr std::int64_t kRanges = 16;

// Times the cost of the overlap alone.
constexpr double kGradientCost = 5;

std::int64_t rows_per_range(std::int64_t n) { return (n + kRanges - 1) / kRanges; }

// Gradients of the rows [begin, end), and what they add to those of the columns.
template <typename T>
void sum_rows(const RotatedPairs& pairs, std::int64_t begin, std::int64_t end,
              RotatedOverlap quantity, const T* grad, double limit, T* grad_a,
              BoxGradient* column_sums) {
  std::fill(column_sums, column_sums + pairs.m, BoxGradient{0, 0, 0, 0, 0});
  for (std::int64_t i = begin; i < end; ++i) {
    BoxGradient row_sum{0, 0, 0, 0, 0};
    const auto add_pair = [&](std::int64_t j) {
      const auto weight = static_cast<double>(grad[i * pairs.m + j]);
      const PairGradient pair =
          rotated_overlap_gradient(pairs.a[i], pairs.b[j], quantity, weight);
      add(row_sum, pair.first);
      add(column_sums[j], pair.second);
    };
    if (quantity == RotatedOverlap::kGiou) {
      for (std::int64_t j = 0; j < pairs.m; ++j) add_pair(j);
    } else {
      pairs.for_each_near(i, add_pair);
    }
    write_gradient(row_sum, limit, grad_a + 5 * i);
  }
}

template <typename T>
Status pairwise(const T* a, std::int64_t n, const T* b, std::int64_t m, RotatedOverlap quantity,
                const T* grad, double limit, void* scratch, T* grad_a, T* grad_b,
                int num_threads) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  const RotatedPairs pairs(a, n, b, m, scratch);
  auto* sums = reinterpret_cast<BoxGradient*>(static_cast<char*>(scratch) +
                                              aligned(RotatedPairs::scratch_bytes(n, m)));
  const bool with_hull = quantity == RotatedOverlap::kGiou;
  const double cost = with_hull ? kHullCost * static_cast<double>(m)
                                : kTestCost * static_cast<double>(m) +
                                      kGradientCost * kPairCost * pairs.near_per_row();
  // One thread takes the ranges in turn, as several would.
  const int threads = range_size(n, cost) == n ? 1 : num_threads;
  const std::int64_t size = rows_per_range(n);
  const std::int64_t ranges = n > 0 ? (n + size - 1) / size : 0;
  parallel_for(ranges, 1, threads, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const std::int64_t end = (r + 1) * size < n ? (r + 1) * size : n;
      sum_rows(pairs, r * size, end, quantity, grad, limit, grad_a, sums + r * m);
    }
  });
  for (std::int64_t j = 0; j < m; ++j) {
    BoxGradient sum{0, 0, 0, 0, 0};
    for (std::int64_t r = 0; r < ranges; ++r) add(sum, sums[r * m + j]);
    write_gradient(sum, limit, grad_b + 5 * j);
  }
  return Status::kOk;
}

template <typename T>
Status matched(const T* a, const T* b, std::int64_t n, RotatedOverlap quantity, const T* grad,
               double limit, T* grad_a, T* grad_b, int num_threads) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  const double cost = kGradientCost * (quantity == RotatedOverlap::kGiou ? kHullCost : kPairCost);
  parallel_for(n, range_size(n, cost), num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const PairGradient pair =
          rotated_overlap_gradient(make_rotated_rect(a + 5 * i), make_rotated_rect(b + 5 * i),
                                   quantity, static_cast<double>(grad[i]));
      write_gradient(pair.first, limit, grad_a + 5 * i);
      write_gradient(pair.second, limit, grad_b + 5 * i);
    }
  });
  return Status::kOk;
}

}  // namespace

std::int64_t rotated_backward_scratch_bytes(std::int64_t n, std::int64_t m) noexcept {
  return aligned(RotatedPairs::scratch_bytes(n, m)) +
         kRanges * m * static_cast<std::int64_t>(sizeof(BoxGradient));
}

Status pairwise_rotated_overlap_backward(const float* a, std::int64_t n, const float* b,
                                         std::int64_t m, RotatedOverlap quantity,
                                         const float* grad, double limit, void* scratch,
                                         float* grad_a, float* grad_b, int num_threads) noexcept {
  return pairwise(a, n, b, m, quantity, grad, limit, scratch, grad_a, grad_b, num_threads);
}

Status pairwise_rotated_overlap_backward(const double* a, std::int64_t n, const double* b,
                                         std::int64_t m, RotatedOverlap quantity,
                                         const double* grad, double limit, void* scratch,
                                         double* grad_a, double* grad_b, int num_threads) noexcept {
  return pairwise(a, n, b, m, quantity, grad, limit, scratch, grad_a, grad_b, num_threads);
}

Status matched_rotated_overlap_backward(const float* a, const float* b, std::int64_t n,
                                        RotatedOverlap quantity, const float* grad, double limit,
                                        float* grad_a, float* grad_b, int num_threads) noexcept {
  return matched(a, b, n, quantity, grad, limit, grad_a, grad_b, num_threads);
}

Status matched_rotated_overlap_backward(const double* a, const double* b, std::int64_t n,
                                        RotatedOverlap quantity, const double* grad, double limit,
                                        double* grad_a, double* grad_b, int num_threads) noexcept {
  return matched(a, b, n, quantity, grad, limit, grad_a, grad_b, num_threads);
}

}  // namespace geodet
