#include "geodet/rotated_clip.hpp"

namespace geodet {
namespace {

template <typename T>
Status clip(const T* boxes, const T* windows, std::int64_t n, T* points,
            std::int64_t* counts) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  for (std::int64_t i = 0; i < n; ++i) {
    counts[i] = clip_one(boxes + 5 * i, windows + 4 * i, points + 2 * kMaxPolygonPoints * i);
  }
  return Status::kOk;
}

}  // namespace

Status clip_rotated_boxes(const float* boxes, const float* windows, std::int64_t n, float* points,
                          std::int64_t* counts) noexcept {
  return clip(boxes, windows, n, points, counts);
}

Status clip_rotated_boxes(const double* boxes, const double* windows, std::int64_t n,
                          double* points, std::int64_t* counts) noexcept {
  return clip(boxes, windows, n, points, counts);
}

}  // namespace geodet
