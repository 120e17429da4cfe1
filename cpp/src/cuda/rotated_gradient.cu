#include "geodet/rotated_iou.hpp"
#include "geodet/rotated_overlap.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

constexpr int kSumThreads = 128;

// grad as a matrix of the rows' boxes by the columns' boxes, whichever way it lies.
template <typename T>
struct Weights {
  const T* values;
  std::int64_t row_stride;
  std::int64_t column_stride;
};

// Compiled once for each architecture instead of into every kernel, which took minutes.
__device__ __noinline__ PairGradient pair_gradient(const RotatedRect& a, const RotatedRect& b,
                                                   RotatedOverlap quantity, double weight) {
  return rotated_overlap_gradient(a, b, quantity, weight);
}

// One block a row: its threads share the columns, then their sums are added in a tree of fixed
// shape, so that results do not change from run to run.
template <typename T>
__global__ void sum_rows_kernel(const T* rows, std::int64_t num_rows, const T* columns,
                                std::int64_t num_columns, RotatedOverlap quantity,
                                Weights<T> weights, double limit, T* grad_rows) {
  __shared__ BoxGradient sums[kSumThreads];
  for (std::int64_t i = blockIdx.x; i < num_rows; i += gridDim.x) {
    const RotatedRect row = make_rotated_rect(rows + 5 * i);
    BoxGradient sum{0, 0, 0, 0, 0};
    for (std::int64_t j = threadIdx.x; j < num_columns; j += blockDim.x) {
      const auto weight = static_cast<double>(
          weights.values[i * weights.row_stride + j * weights.column_stride]);
      if (weight == 0) continue;
      const RotatedRect column = make_rotated_rect(columns + 5 * j);
      if (!may_have_gradient(row, column, quantity)) continue;
      add(sum, pair_gradient(row, column, quantity, weight).first);
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    for (unsigned half = kSumThreads / 2; half > 0; half /= 2) {
      if (threadIdx.x < half) add(sums[threadIdx.x], sums[threadIdx.x + half]);
      __syncthreads();
    }
    if (threadIdx.x == 0) write_gradient(sums[0], limit, grad_rows + 5 * i);
    __syncthreads();
  }
}

template <typename T>
__global__ void matched_kernel(const T* a, const T* b, std::int64_t n, RotatedOverlap quantity,
                               const T* grad, double limit, T* grad_a, T* grad_b) {
  for (std::int64_t i = first_item(); i < n; i += item_stride()) {
    const PairGradient pair =
        pair_gradient(make_rotated_rect(a + 5 * i), make_rotated_rect(b + 5 * i), quantity,
                      static_cast<double>(grad[i]));
    write_gradient(pair.first, limit, grad_a + 5 * i);
    write_gradient(pair.second, limit, grad_b + 5 * i);
  }
}

template <typename T>
Status pairwise(const T* a, std::int64_t n, const T* b, std::int64_t m, RotatedOverlap quantity,
                const T* grad, double limit, T* grad_a, T* grad_b, void* stream) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  if (n > 0) {
    sum_rows_kernel<<<blocks_for(n, 1), kSumThreads, 0, as_stream(stream)>>>(
        a, n, b, m, quantity, Weights<T>{grad, m, 1}, limit, grad_a);
    const Status status = launch_status();
    if (status != Status::kOk) return status;
  }
  if (m > 0) {
    sum_rows_kernel<<<blocks_for(m, 1), kSumThreads, 0, as_stream(stream)>>>(
        b, m, a, n, quantity, Weights<T>{grad, 1, m}, limit, grad_b);
  }
  return launch_status();
}

template <typename T>
Status matched(const T* a, const T* b, std::int64_t n, RotatedOverlap quantity, const T* grad,
               double limit, T* grad_a, T* grad_b, void* stream) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  if (n == 0) return Status::kOk;
  matched_kernel<<<blocks_for(n), kThreads, 0, as_stream(stream)>>>(a, b, n, quantity, grad,
                                                                    limit, grad_a, grad_b);
  return launch_status();
}

}  // namespace

Status pairwise_rotated_overlap_backward(const float* a, std::int64_t n, const float* b,
                                         std::int64_t m, RotatedOverlap quantity,
                                         const float* grad, double limit, float* grad_a,
                                         float* grad_b, void* stream) noexcept {
  return pairwise(a, n, b, m, quantity, grad, limit, grad_a, grad_b, stream);
}

Status pairwise_rotated_overlap_backward(const double* a, std::int64_t n, const double* b,
                                         std::int64_t m, RotatedOverlap quantity,
                                         const double* grad, double limit, double* grad_a,
                                         double* grad_b, void* stream) noexcept {
  return pairwise(a, n, b, m, quantity, grad, limit, grad_a, grad_b, stream);
}

Status matched_rotated_overlap_backward(const float* a, const float* b, std::int64_t n,
                                        RotatedOverlap quantity, const float* grad, double limit,
                                        float* grad_a, float* grad_b, void* stream) noexcept {
  return matched(a, b, n, quantity, grad, limit, grad_a, grad_b, stream);
}

Status matched_rotated_overlap_backward(const double* a, const double* b, std::int64_t n,
                                        RotatedOverlap quantity, const double* grad, double limit,
                                        double* grad_a, double* grad_b, void* stream) noexcept {
  return matched(a, b, n, quantity, grad, limit, grad_a, grad_b, stream);
}

}  // namespace geodet::cuda
