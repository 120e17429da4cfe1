#include "geodet/boxes.hpp"

#include "geodet/rect.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

template <typename T>
__device__ Rect<T> load(const T* boxes, std::int64_t i) {
  return {boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]};
}

template <typename T>
__global__ void pairwise_iou_kernel(const T* a, std::int64_t n, const T* b, std::int64_t m,
                                    T* iou) {
  for (std::int64_t k = first_item(); k < n * m; k += item_stride()) {
    iou[k] = rect_iou(load(a, k / m), load(b, k % m));
  }
}

template <typename T>
Status launch(const T* a, std::int64_t n, const T* b, std::int64_t m, T* iou,
              void* stream) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  if (n == 0 || m == 0) return Status::kOk;
  pairwise_iou_kernel<<<blocks_for(n * m), kThreads, 0, as_stream(stream)>>>(a, n, b, m, iou);
  return launch_status();
}

}  // namespace

Status pairwise_box_iou(const float* a, std::int64_t n, const float* b, std::int64_t m, float* iou,
                        void* stream) noexcept {
  return launch(a, n, b, m, iou, stream);
}

Status pairwise_box_iou(const double* a, std::int64_t n, const double* b, std::int64_t m,
                        double* iou, void* stream) noexcept {
  return launch(a, n, b, m, iou, stream);
}

}  // namespace geodet::cuda
