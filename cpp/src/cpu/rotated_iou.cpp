#include "geodet/rotated_iou.hpp"

#include <cstring>

#include "geodet/flagged.hpp"
#include "geodet/parallel.hpp"
#include "geodet/rotated_batch.hpp"
#include "geodet/rotated_bounds.hpp"
#include "geodet/rotated_overlap.hpp"

namespace geodet {
namespace {

// What pairs cost, in nanoseconds: one whose bounds are tested, one that is computed, and one that
// needs a hull. Ranges get enough of them to be worth a thread, and a call below kThreadedCost none.
constexpr double kTestCost = 0.3;
constexpr double kPairCost = 50;
constexpr double kHullCost = 400;
constexpr double kRangeCost = 2e5;
constexpr double kThreadedCost = 1e6;

std::int64_t range_size(std::int64_t count, double cost_of_each) {
  if (static_cast<double>(count) * cost_of_each < kThreadedCost) return count;
  return static_cast<std::int64_t>(kRangeCost / cost_of_each) + 1;
}

// The boxes of one call, ready to be paired.
struct Prepared {
  RotatedRect* a;
  RotatedRect* b;
  UprightBoundsArrays bounds;  // of b
  double origin_x = 0;         // that bounds are relative to: the first box of a with an area
  double origin_y = 0;

  Prepared(void* memory, std::int64_t n, std::int64_t m) {
    a = static_cast<RotatedRect*>(memory);
    b = a + n;
    auto* values = reinterpret_cast<float*>(b + m);
    bounds = {values, values + m, values + 2 * m, values + 3 * m};
  }

  template <typename T>
  void read(const T* a_rows, std::int64_t n, const T* b_rows, std::int64_t m) {
    for (std::int64_t i = n; i-- > 0;) {
      a[i] = make_rotated_rect(a_rows + 5 * i);
      if (!covers_something(a[i])) continue;
      origin_x = a[i].cx;
      origin_y = a[i].cy;
    }
    for (std::int64_t j = 0; j < m; ++j) {
      b[j] = make_rotated_rect(b_rows + 5 * j);
      bounds.set(j, upright_bounds(b[j], origin_x, origin_y));
    }
  }
};

// meets[k] = 1 where the bounds of column begin + k meet those of the row, else 0, for k < count.
GEODET_CLONES void test_block(const UprightBounds& row, const UprightBoundsArrays& columns,
                              std::int64_t begin, std::int64_t count, std::uint8_t* meets) {
  const float* x1 = columns.x1 + begin;
  const float* y1 = columns.y1 + begin;
  const float* x2 = columns.x2 + begin;
  const float* y2 = columns.y2 + begin;
  const UprightBounds r = row;
  for (std::int64_t k = 0; k < count; ++k) {
    const int meets_x = static_cast<int>(x1[k] <= r.x2) & static_cast<int>(x2[k] >= r.x1);
    const int meets_y = static_cast<int>(y1[k] <= r.y2) & static_cast<int>(y2[k] >= r.y1);
    meets[k] = static_cast<std::uint8_t>(meets_x & meets_y);
  }
}

// Computes what was collected and writes it.
template <typename T>
void finish(RotatedBatch& batch, RotatedOverlap quantity, T* out) {
  intersect(batch);
  for (std::int64_t k = 0; k < batch.count; ++k) {
    out[batch.target[k]] = static_cast<T>(
        overlap_from_area(batch.pair(k), batch.unit[k], batch.area[k], quantity));
  }
  batch.count = 0;
}

template <typename T>
void overlap_rows(const Prepared& boxes, std::int64_t begin, std::int64_t end, std::int64_t m,
                  RotatedOverlap quantity, T* out) {
  RotatedBatch batch;
  std::memset(out + begin * m, 0, static_cast<std::size_t>((end - begin) * m) * sizeof(T));
  for (std::int64_t i = begin; i < end; ++i) {
    const RotatedRect& row = boxes.a[i];
    if (!covers_something(row)) continue;
    const UprightBounds bounds = upright_bounds(row, boxes.origin_x, boxes.origin_y);
    const auto meets = [&](std::int64_t first, std::int64_t count, std::uint8_t* flags) {
      test_block(bounds, boxes.bounds, first, count, flags);
    };
    for_each_flagged(0, m, meets, [&](std::int64_t j) {
      batch.add(row, boxes.b[j], i * m + j);
      if (batch.full()) finish(batch, quantity, out);
    });
  }
  finish(batch, quantity, out);
}

// The hull makes boxes that are apart matter: no pair can be left out.
template <typename T>
void hull_rows(const Prepared& boxes, std::int64_t begin, std::int64_t end, std::int64_t m,
               T* out) {
  for (std::int64_t i = begin; i < end; ++i) {
    for (std::int64_t j = 0; j < m; ++j) {
      out[i * m + j] =
          static_cast<T>(rotated_overlap(boxes.a[i], boxes.b[j], RotatedOverlap::kGiou));
    }
  }
}

// Of a row, in nanoseconds, judged by some rows: crowded boxes cost a hundred times what scattered
// ones do.
double cost_of_row(const Prepared& boxes, std::int64_t n, std::int64_t m) {
  const std::int64_t step = n / 8 + 1;
  std::int64_t rows = 0;
  std::int64_t pairs = 0;
  for (std::int64_t i = step / 2; i < n; i += step) {
    const UprightBounds bounds = upright_bounds(boxes.a[i], boxes.origin_x, boxes.origin_y);
    const auto meets = [&](std::int64_t first, std::int64_t count, std::uint8_t* flags) {
      test_block(bounds, boxes.bounds, first, count, flags);
    };
    for_each_flagged(0, m, meets, [&](std::int64_t) { ++pairs; });
    ++rows;
  }
  return kTestCost * static_cast<double>(m) +
         kPairCost * static_cast<double>(pairs) / static_cast<double>(rows);
}

template <typename T>
Status pairwise(const T* a, std::int64_t n, const T* b, std::int64_t m, RotatedOverlap quantity,
                void* scratch, T* out, int num_threads) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  if (n == 0 || m == 0) return Status::kOk;
  Prepared boxes(scratch, n, m);
  boxes.read(a, n, b, m);
  const bool with_hull = quantity == RotatedOverlap::kGiou;
  const double cost = with_hull ? kHullCost * static_cast<double>(m) : cost_of_row(boxes, n, m);
  parallel_for(n, range_size(n, cost), num_threads, [&](std::int64_t begin, std::int64_t end) {
    if (with_hull) {
      hull_rows(boxes, begin, end, m, out);
    } else {
      overlap_rows(boxes, begin, end, m, quantity, out);
    }
  });
  return Status::kOk;
}

template <typename T>
void overlap_matched(const T* a, const T* b, std::int64_t begin, std::int64_t end,
                     RotatedOverlap quantity, T* out) {
  RotatedBatch batch;
  for (std::int64_t i = begin; i < end; ++i) {
    out[i] = T(0);
    const RotatedRect first = make_rotated_rect(a + 5 * i);
    const RotatedRect second = make_rotated_rect(b + 5 * i);
    if (!covers_something(first) || !covers_something(second)) continue;
    batch.add(first, second, i);
    if (batch.full()) finish(batch, quantity, out);
  }
  finish(batch, quantity, out);
}

template <typename T>
Status matched(const T* a, const T* b, std::int64_t n, RotatedOverlap quantity, T* out,
               int num_threads) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  const bool with_hull = quantity == RotatedOverlap::kGiou;
  const double cost = with_hull ? kHullCost : 2 * kPairCost;  // boxes are prepared here, too
  parallel_for(n, range_size(n, cost), num_threads, [&](std::int64_t begin, std::int64_t end) {
    if (!with_hull) {
      overlap_matched(a, b, begin, end, quantity, out);
      return;
    }
    for (std::int64_t i = begin; i < end; ++i) {
      out[i] = static_cast<T>(rotated_overlap(make_rotated_rect(a + 5 * i),
                                              make_rotated_rect(b + 5 * i), quantity));
    }
  });
  return Status::kOk;
}

}  // namespace

std::int64_t rotated_scratch_bytes(std::int64_t n, std::int64_t m) noexcept {
  return (n + m) * static_cast<std::int64_t>(sizeof(RotatedRect)) +
         4 * m * static_cast<std::int64_t>(sizeof(float));
}

Status pairwise_rotated_overlap(const float* a, std::int64_t n, const float* b, std::int64_t m,
                                RotatedOverlap quantity, void* scratch, float* out,
                                int num_threads) noexcept {
  return pairwise(a, n, b, m, quantity, scratch, out, num_threads);
}

Status pairwise_rotated_overlap(const double* a, std::int64_t n, const double* b, std::int64_t m,
                                RotatedOverlap quantity, void* scratch, double* out,
                                int num_threads) noexcept {
  return pairwise(a, n, b, m, quantity, scratch, out, num_threads);
}

Status matched_rotated_overlap(const float* a, const float* b, std::int64_t n,
                               RotatedOverlap quantity, float* out, int num_threads) noexcept {
  return matched(a, b, n, quantity, out, num_threads);
}

Status matched_rotated_overlap(const double* a, const double* b, std::int64_t n,
                               RotatedOverlap quantity, double* out, int num_threads) noexcept {
  return matched(a, b, n, quantity, out, num_threads);
}

}  // namespace geodet
