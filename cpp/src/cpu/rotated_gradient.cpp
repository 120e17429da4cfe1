#include "geodet/parallel.hpp"
#include "geodet/rotated_iou.hpp"
#include "geodet/rotated_overlap.hpp"

namespace geodet {
namespace {

constexpr std::int64_t kPairsPerRange = 1 << 11;

template <typename T>
void prepare(const T* rows, std::int64_t count, RotatedRect* rects) {
  for (std::int64_t i = 0; i < count; ++i) rects[i] = make_rotated_rect(rows + 5 * i);
}

// Sums over one box's pairs: grad_rows[i] = sum over j of grad(i, j) d overlap(i, j) / d row i.
// `row_stride` and `column_stride` say how grad lies, so that the same code serves both sides.
template <typename T>
void sum_rows(const RotatedRect* rows, const RotatedRect* columns, std::int64_t num_columns,
              RotatedOverlap quantity, const T* grad, std::int64_t row_stride,
              std::int64_t column_stride, double limit, std::int64_t begin, std::int64_t end,
              T* grad_rows) {
  for (std::int64_t i = begin; i < end; ++i) {
    BoxGradient sum{0, 0, 0, 0, 0};
    for (std::int64_t j = 0; j < num_columns; ++j) {
      const auto weight = static_cast<double>(grad[i * row_stride + j * column_stride]);
      if (weight == 0 || !may_have_gradient(rows[i], columns[j], quantity)) continue;
      add(sum, rotated_overlap_gradient(rows[i], columns[j], quantity, weight).first);
    }
    write_gradient(sum, limit, grad_rows + 5 * i);
  }
}

template <typename T>
Status pairwise(const T* a, std::int64_t n, const T* b, std::int64_t m, RotatedOverlap quantity,
                const T* grad, double limit, void* scratch, T* grad_a, T* grad_b,
                int num_threads) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  auto* a_rects = static_cast<RotatedRect*>(scratch);
  RotatedRect* b_rects = a_rects + n;
  prepare(a, n, a_rects);
  prepare(b, m, b_rects);
  // Each side sums over all pairs by itself: no thread adds to what another writes, so the order of
  // the sums does not depend on the threads.
  parallel_for(n, kPairsPerRange / (m + 1) + 1, num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 sum_rows(a_rects, b_rects, m, quantity, grad, m, 1, limit, begin, end, grad_a);
               });
  parallel_for(m, kPairsPerRange / (n + 1) + 1, num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 sum_rows(b_rects, a_rects, n, quantity, grad, 1, m, limit, begin, end, grad_b);
               });
  return Status::kOk;
}

template <typename T>
Status matched(const T* a, const T* b, std::int64_t n, RotatedOverlap quantity, const T* grad,
               double limit, T* grad_a, T* grad_b, int num_threads) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  parallel_for(n, kPairsPerRange, num_threads, [&](std::int64_t begin, std::int64_t end) {
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
