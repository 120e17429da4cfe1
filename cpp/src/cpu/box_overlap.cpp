#include "geodet/box_overlap.hpp"

#include "geodet/parallel.hpp"

namespace geodet {
namespace {

// Pairs a thread should have before it is worth waking: about 0.2 ms of work.
constexpr std::int64_t kPairsPerRange = 1 << 19;
constexpr std::int64_t kMatchesPerRange = 1 << 15;

bool is_known(BoxMeasure measure) {
  const int number = static_cast<int>(measure);
  return number >= 0 && number < kNumBoxMeasures;
}

template <typename T>
inline MeasuredBox<T> load(const T* boxes, std::int64_t i, BoxMeasure measure) {
  return measured(Rect<T>{boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]},
                  measure);
}

// One row against all columns; columns lie as six arrays so that the loop vectorises.
template <BoxMeasure kMeasure, typename T>
GEODET_INLINE void measure_row(const MeasuredBox<T>& a, const T* columns, std::int64_t m, T* row) {
  const T* x1 = columns;
  const T* y1 = columns + m;
  const T* x2 = columns + 2 * m;
  const T* y2 = columns + 3 * m;
  const T* area = columns + 4 * m;
  const T* aspect = columns + 5 * m;
  for (std::int64_t j = 0; j < m; ++j) {
    const MeasuredBox<T> b{{x1[j], y1[j], x2[j], y2[j]}, area[j], aspect[j]};
    row[j] = measure_pair<kMeasure>(a, b);
  }
}

template <typename T>
GEODET_INLINE void measure_any_row(BoxMeasure measure, const MeasuredBox<T>& a, const T* columns,
                                   std::int64_t m, T* row) {
  switch (measure) {
    case BoxMeasure::kIntersection:
      return measure_row<BoxMeasure::kIntersection>(a, columns, m, row);
    case BoxMeasure::kIou:
      return measure_row<BoxMeasure::kIou>(a, columns, m, row);
    case BoxMeasure::kIoa:
      return measure_row<BoxMeasure::kIoa>(a, columns, m, row);
    case BoxMeasure::kGiou:
      return measure_row<BoxMeasure::kGiou>(a, columns, m, row);
    case BoxMeasure::kDiou:
      return measure_row<BoxMeasure::kDiou>(a, columns, m, row);
    case BoxMeasure::kCiou:
      return measure_row<BoxMeasure::kCiou>(a, columns, m, row);
  }
}

GEODET_CLONES void measure_rows(BoxMeasure measure, const float* a, std::int64_t begin,
                                std::int64_t end, const float* columns, std::int64_t m,
                                float* out) {
  for (std::int64_t i = begin; i < end; ++i) {
    measure_any_row(measure, load(a, i, measure), columns, m, out + i * m);
  }
}

GEODET_CLONES void measure_rows(BoxMeasure measure, const double* a, std::int64_t begin,
                                std::int64_t end, const double* columns, std::int64_t m,
                                double* out) {
  for (std::int64_t i = begin; i < end; ++i) {
    measure_any_row(measure, load(a, i, measure), columns, m, out + i * m);
  }
}

template <typename T>
Status pairwise(BoxMeasure measure, const T* a, std::int64_t n, const T* b, std::int64_t m,
                T* scratch, T* out, int num_threads) noexcept {
  if (n < 0 || m < 0 || !is_known(measure)) return Status::kInvalidArgument;
  for (std::int64_t j = 0; j < m; ++j) {
    const MeasuredBox<T> box = load(b, j, measure);
    const T terms[kBoxScratch] = {box.rect.x1, box.rect.y1, box.rect.x2,
                                  box.rect.y2, box.area,    box.aspect};
    for (std::int64_t c = 0; c < kBoxScratch; ++c) scratch[c * m + j] = terms[c];
  }
  const std::int64_t grain = m > 0 ? kPairsPerRange / m + 1 : n;
  parallel_for(n, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    measure_rows(measure, a, begin, end, scratch, m, out);
  });
  return Status::kOk;
}

template <BoxMeasure kMeasure, typename T>
void match_all(const T* a, const T* b, std::int64_t begin, std::int64_t end, T* out) {
  for (std::int64_t i = begin; i < end; ++i) {
    out[i] = measure_pair<kMeasure>(load(a, i, kMeasure), load(b, i, kMeasure));
  }
}

template <typename T>
Status matched(BoxMeasure measure, const T* a, const T* b, std::int64_t n, T* out,
               int num_threads) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  return with_measure(measure, [&](auto constant) {
    parallel_for(n, kMatchesPerRange, num_threads, [&](std::int64_t begin, std::int64_t end) {
      match_all<decltype(constant)::value>(a, b, begin, end, out);
    });
    return Status::kOk;
  });
}

}  // namespace

Status pairwise_box_overlap(BoxMeasure measure, const float* a, std::int64_t n, const float* b,
                            std::int64_t m, float* scratch, float* out, int num_threads) noexcept {
  return pairwise(measure, a, n, b, m, scratch, out, num_threads);
}

Status pairwise_box_overlap(BoxMeasure measure, const double* a, std::int64_t n, const double* b,
                            std::int64_t m, double* scratch, double* out,
                            int num_threads) noexcept {
  return pairwise(measure, a, n, b, m, scratch, out, num_threads);
}

Status matched_box_overlap(BoxMeasure measure, const float* a, const float* b, std::int64_t n,
                           float* out, int num_threads) noexcept {
  return matched(measure, a, b, n, out, num_threads);
}

Status matched_box_overlap(BoxMeasure measure, const double* a, const double* b, std::int64_t n,
                           double* out, int num_threads) noexcept {
  return matched(measure, a, b, n, out, num_threads);
}

}  // namespace geodet
