#include "geodet/box_gradients.hpp"

#include <algorithm>

#include "geodet/box_overlap.hpp"

namespace geodet {
namespace {

template <typename T>
MeasuredBox<T> load(const T* boxes, std::int64_t i, BoxMeasure measure) {
  return measured(Rect<T>{boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]},
                  measure);
}

template <BoxMeasure kMeasure, typename T>
void add_row(const MeasuredBox<T>& a, const T* b, std::int64_t m, const T* grad, T* grad_a,
             T* grad_b) {
  for (std::int64_t j = 0; j < m; ++j) {
    if (grad[j] == T(0)) continue;  // most pairs of a loss are not looked at
    const PairGradient<T> pair = measure_gradient<kMeasure>(a, load(b, j, kMeasure));
    for (int k = 0; k < 4; ++k) {
      grad_a[k] += grad[j] * pair.a[k];
      grad_b[4 * j + k] += grad[j] * pair.b[k];
    }
  }
}

template <typename T>
Status pairwise(BoxMeasure measure, const T* a, std::int64_t n, const T* b, std::int64_t m,
                const T* grad, T* grad_a, T* grad_b) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  std::fill(grad_a, grad_a + 4 * n, T(0));
  std::fill(grad_b, grad_b + 4 * m, T(0));
  return with_measure(measure, [&](auto constant) {
    constexpr BoxMeasure kMeasure = decltype(constant)::value;
    for (std::int64_t i = 0; i < n; ++i) {
      add_row<kMeasure>(load(a, i, kMeasure), b, m, grad + i * m, grad_a + 4 * i, grad_b);
    }
    return Status::kOk;
  });
}

template <typename T>
Status matched(BoxMeasure measure, const T* a, const T* b, std::int64_t n, const T* grad, T* grad_a,
               T* grad_b) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  return with_measure(measure, [&](auto constant) {
    constexpr BoxMeasure kMeasure = decltype(constant)::value;
    for (std::int64_t i = 0; i < n; ++i) {
      const PairGradient<T> pair =
          measure_gradient<kMeasure>(load(a, i, kMeasure), load(b, i, kMeasure));
      for (int k = 0; k < 4; ++k) {
        grad_a[4 * i + k] = grad[i] * pair.a[k];
        grad_b[4 * i + k] = grad[i] * pair.b[k];
      }
    }
    return Status::kOk;
  });
}

}  // namespace

Status pairwise_box_gradients(BoxMeasure measure, const float* a, std::int64_t n, const float* b,
                              std::int64_t m, const float* grad, float* grad_a,
                              float* grad_b) noexcept {
  return pairwise(measure, a, n, b, m, grad, grad_a, grad_b);
}

Status pairwise_box_gradients(BoxMeasure measure, const double* a, std::int64_t n, const double* b,
                              std::int64_t m, const double* grad, double* grad_a,
                              double* grad_b) noexcept {
  return pairwise(measure, a, n, b, m, grad, grad_a, grad_b);
}

Status matched_box_gradients(BoxMeasure measure, const float* a, const float* b, std::int64_t n,
                             const float* grad, float* grad_a, float* grad_b) noexcept {
  return matched(measure, a, b, n, grad, grad_a, grad_b);
}

Status matched_box_gradients(BoxMeasure measure, const double* a, const double* b, std::int64_t n,
                             const double* grad, double* grad_a, double* grad_b) noexcept {
  return matched(measure, a, b, n, grad, grad_a, grad_b);
}

}  // namespace geodet
