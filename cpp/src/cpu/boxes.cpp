#include "geodet/boxes.hpp"

#include "geodet/parallel.hpp"
#include "geodet/rect.hpp"

namespace geodet {
namespace {

// Pairs a thread should have before it is worth waking: about 0.2 ms of work.
constexpr std::int64_t kPairsPerRange = 1 << 19;

// One row against all columns; columns lie as five arrays so that the loop vectorises.
template <typename T>
inline void iou_row(const Rect<T>& a, const T* x1, const T* y1, const T* x2, const T* y2,
                    const T* area, std::int64_t m, T* row) {
  const T area_a = rect_area(a);
  for (std::int64_t j = 0; j < m; ++j) {
    const T w = interval_overlap(a.x1, a.x2, x1[j], x2[j]);
    const T h = interval_overlap(a.y1, a.y2, y1[j], y2[j]);
    row[j] = iou_from_areas(area_a, area[j], w * h);
  }
}

GEODET_CLONES void iou_rows(const float* a, std::int64_t begin, std::int64_t end,
                            const float* columns, std::int64_t m, float* iou) {
  for (std::int64_t i = begin; i < end; ++i) {
    iou_row<float>({a[4 * i], a[4 * i + 1], a[4 * i + 2], a[4 * i + 3]}, columns, columns + m,
                   columns + 2 * m, columns + 3 * m, columns + 4 * m, m, iou + i * m);
  }
}

GEODET_CLONES void iou_rows(const double* a, std::int64_t begin, std::int64_t end,
                            const double* columns, std::int64_t m, double* iou) {
  for (std::int64_t i = begin; i < end; ++i) {
    iou_row<double>({a[4 * i], a[4 * i + 1], a[4 * i + 2], a[4 * i + 3]}, columns, columns + m,
                    columns + 2 * m, columns + 3 * m, columns + 4 * m, m, iou + i * m);
  }
}

template <typename T>
Status pairwise_iou(const T* a, std::int64_t n, const T* b, std::int64_t m, T* scratch, T* iou,
                    int num_threads) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  for (std::int64_t j = 0; j < m; ++j) {
    for (int c = 0; c < 4; ++c) scratch[c * m + j] = b[4 * j + c];
    scratch[4 * m + j] = rect_area(Rect<T>{b[4 * j], b[4 * j + 1], b[4 * j + 2], b[4 * j + 3]});
  }
  const std::int64_t grain = m > 0 ? kPairsPerRange / m + 1 : n;
  parallel_for(n, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    iou_rows(a, begin, end, scratch, m, iou);
  });
  return Status::kOk;
}

}  // namespace

Status pairwise_box_iou(const float* a, std::int64_t n, const float* b, std::int64_t m,
                        float* scratch, float* iou, int num_threads) noexcept {
  return pairwise_iou(a, n, b, m, scratch, iou, num_threads);
}

Status pairwise_box_iou(const double* a, std::int64_t n, const double* b, std::int64_t m,
                        double* scratch, double* iou, int num_threads) noexcept {
  return pairwise_iou(a, n, b, m, scratch, iou, num_threads);
}

}  // namespace geodet
