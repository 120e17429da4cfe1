#include "geodet/box_overlap.hpp"

#include "launch.cuh"

namespace geodet::cuda {
namespace {

template <typename T>
__device__ MeasuredBox<T> load(const T* boxes, std::int64_t i, BoxMeasure measure) {
  return measured(Rect<T>{boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]},
                  measure);
}

template <BoxMeasure kMeasure, typename T>
__global__ void pairwise_kernel(const T* a, std::int64_t n, const T* b, std::int64_t m, T* out) {
  for (std::int64_t k = first_item(); k < n * m; k += item_stride()) {
    out[k] = measure_pair<kMeasure>(load(a, k / m, kMeasure), load(b, k % m, kMeasure));
  }
}

template <BoxMeasure kMeasure, typename T>
__global__ void matched_kernel(const T* a, const T* b, std::int64_t n, T* out) {
  for (std::int64_t i = first_item(); i < n; i += item_stride()) {
    out[i] = measure_pair<kMeasure>(load(a, i, kMeasure), load(b, i, kMeasure));
  }
}

template <typename T>
Status pairwise(BoxMeasure measure, const T* a, std::int64_t n, const T* b, std::int64_t m, T* out,
                void* stream) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  if (n == 0 || m == 0) return Status::kOk;
  return with_measure(measure, [&](auto constant) {
    pairwise_kernel<decltype(constant)::value>
        <<<blocks_for(n * m), kThreads, 0, as_stream(stream)>>>(a, n, b, m, out);
    return launch_status();
  });
}

template <typename T>
Status matched(BoxMeasure measure, const T* a, const T* b, std::int64_t n, T* out,
               void* stream) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  if (n == 0) return Status::kOk;
  return with_measure(measure, [&](auto constant) {
    matched_kernel<decltype(constant)::value>
        <<<blocks_for(n), kThreads, 0, as_stream(stream)>>>(a, b, n, out);
    return launch_status();
  });
}

}  // namespace

Status pairwise_box_overlap(BoxMeasure measure, const float* a, std::int64_t n, const float* b,
                            std::int64_t m, float* out, void* stream) noexcept {
  return pairwise(measure, a, n, b, m, out, stream);
}

Status pairwise_box_overlap(BoxMeasure measure, const double* a, std::int64_t n, const double* b,
                            std::int64_t m, double* out, void* stream) noexcept {
  return pairwise(measure, a, n, b, m, out, stream);
}

Status matched_box_overlap(BoxMeasure measure, const float* a, const float* b, std::int64_t n,
                           float* out, void* stream) noexcept {
  return matched(measure, a, b, n, out, stream);
}

Status matched_box_overlap(BoxMeasure measure, const double* a, const double* b, std::int64_t n,
                           double* out, void* stream) noexcept {
  return matched(measure, a, b, n, out, stream);
}

}  // namespace geodet::cuda
