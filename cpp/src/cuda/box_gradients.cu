#include "geodet/box_gradients.hpp"

#include "geodet/box_overlap.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

template <typename T>
__device__ MeasuredBox<T> load(const T* boxes, std::int64_t i, BoxMeasure measure) {
  return measured(Rect<T>{boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]},
                  measure);
}

// One thread sums the row of one box, in order: no atomics, the same bits on every run.
template <BoxMeasure kMeasure, typename T>
__global__ void rows_kernel(const T* a, std::int64_t n, const T* b, std::int64_t m, const T* grad,
                            T* grad_a) {
  for (std::int64_t i = first_item(); i < n; i += item_stride()) {
    const MeasuredBox<T> box = load(a, i, kMeasure);
    T sum[4] = {T(0), T(0), T(0), T(0)};
    for (std::int64_t j = 0; j < m; ++j) {
      const T weight = grad[i * m + j];
      if (weight == T(0)) continue;
      const PairGradient<T> pair = measure_gradient<kMeasure>(box, load(b, j, kMeasure));
      for (int k = 0; k < 4; ++k) sum[k] += weight * pair.a[k];
    }
    for (int k = 0; k < 4; ++k) grad_a[4 * i + k] = sum[k];
  }
}

template <BoxMeasure kMeasure, typename T>
__global__ void columns_kernel(const T* a, std::int64_t n, const T* b, std::int64_t m,
                               const T* grad, T* grad_b) {
  for (std::int64_t j = first_item(); j < m; j += item_stride()) {
    const MeasuredBox<T> box = load(b, j, kMeasure);
    T sum[4] = {T(0), T(0), T(0), T(0)};
    for (std::int64_t i = 0; i < n; ++i) {
      const T weight = grad[i * m + j];
      if (weight == T(0)) continue;
      const PairGradient<T> pair = measure_gradient<kMeasure>(load(a, i, kMeasure), box);
      for (int k = 0; k < 4; ++k) sum[k] += weight * pair.b[k];
    }
    for (int k = 0; k < 4; ++k) grad_b[4 * j + k] = sum[k];
  }
}

template <BoxMeasure kMeasure, typename T>
__global__ void matched_kernel(const T* a, const T* b, std::int64_t n, const T* grad, T* grad_a,
                               T* grad_b) {
  for (std::int64_t i = first_item(); i < n; i += item_stride()) {
    const PairGradient<T> pair =
        measure_gradient<kMeasure>(load(a, i, kMeasure), load(b, i, kMeasure));
    for (int k = 0; k < 4; ++k) {
      grad_a[4 * i + k] = grad[i] * pair.a[k];
      grad_b[4 * i + k] = grad[i] * pair.b[k];
    }
  }
}

template <typename T>
Status pairwise(BoxMeasure measure, const T* a, std::int64_t n, const T* b, std::int64_t m,
                const T* grad, T* grad_a, T* grad_b, void* stream) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  return with_measure(measure, [&](auto constant) {
    constexpr BoxMeasure kMeasure = decltype(constant)::value;
    if (n > 0) {
      rows_kernel<kMeasure><<<blocks_for(n), kThreads, 0, as_stream(stream)>>>(a, n, b, m, grad,
                                                                              grad_a);
    }
    if (m > 0) {
      columns_kernel<kMeasure><<<blocks_for(m), kThreads, 0, as_stream(stream)>>>(a, n, b, m, grad,
                                                                                 grad_b);
    }
    return launch_status();
  });
}

template <typename T>
Status matched(BoxMeasure measure, const T* a, const T* b, std::int64_t n, const T* grad, T* grad_a,
               T* grad_b, void* stream) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  if (n == 0) return Status::kOk;
  return with_measure(measure, [&](auto constant) {
    matched_kernel<decltype(constant)::value>
        <<<blocks_for(n), kThreads, 0, as_stream(stream)>>>(a, b, n, grad, grad_a, grad_b);
    return launch_status();
  });
}

}  // namespace

Status pairwise_box_gradients(BoxMeasure measure, const float* a, std::int64_t n, const float* b,
                              std::int64_t m, const float* grad, float* grad_a, float* grad_b,
                              void* stream) noexcept {
  return pairwise(measure, a, n, b, m, grad, grad_a, grad_b, stream);
}

Status pairwise_box_gradients(BoxMeasure measure, const double* a, std::int64_t n, const double* b,
                              std::int64_t m, const double* grad, double* grad_a, double* grad_b,
                              void* stream) noexcept {
  return pairwise(measure, a, n, b, m, grad, grad_a, grad_b, stream);
}

Status matched_box_gradients(BoxMeasure measure, const float* a, const float* b, std::int64_t n,
                             const float* grad, float* grad_a, float* grad_b,
                             void* stream) noexcept {
  return matched(measure, a, b, n, grad, grad_a, grad_b, stream);
}

Status matched_box_gradients(BoxMeasure measure, const double* a, const double* b, std::int64_t n,
                             const double* grad, double* grad_a, double* grad_b,
                             void* stream) noexcept {
  return matched(measure, a, b, n, grad, grad_a, grad_b, stream);
}

}  // namespace geodet::cuda
