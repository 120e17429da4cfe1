#include "geodet/rotated_iou.hpp"

#include <cstring>

#include "geodet/parallel.hpp"
#include "geodet/rotated_batch.hpp"
#include "geodet/rotated_overlap.hpp"
#include "geodet/rotated_pairs.hpp"

namespace geodet {
namespace {

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
void overlap_rows(const RotatedPairs& pairs, std::int64_t begin, std::int64_t end,
                  RotatedOverlap quantity, T* out) {
  const std::int64_t m = pairs.m;
  RotatedBatch batch;
  std::memset(out + begin * m, 0, static_cast<std::size_t>((end - begin) * m) * sizeof(T));
  for (std::int64_t i = begin; i < end; ++i) {
    pairs.for_each_near(i, [&](std::int64_t j) {
      batch.add(pairs.a[i], pairs.b[j], i * m + j);
      if (batch.full()) finish(batch, quantity, out);
    });
  }
  finish(batch, quantity, out);
}

// The hull makes boxes that are apart matter: no pair can be left out.
template <typename T>
void hull_rows(const RotatedPairs& pairs, std::int64_t begin, std::int64_t end, T* out) {
  const std::int64_t m = pairs.m;
  for (std::int64_t i = begin; i < end; ++i) {
    for (std::int64_t j = 0; j < m; ++j) {
      out[i * m + j] =
          static_cast<T>(rotated_overlap(pairs.a[i], pairs.b[j], RotatedOverlap::kGiou));
    }
  }
}

template <typename T>
Status pairwise(const T* a, std::int64_t n, const T* b, std::int64_t m, RotatedOverlap quantity,
                void* scratch, T* out, int num_threads) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  if (n == 0 || m == 0) return Status::kOk;
  const RotatedPairs pairs(a, n, b, m, scratch);
  const bool with_hull = quantity == RotatedOverlap::kGiou;
  // Crowded boxes cost a hundred times what scattered ones do.
  const double cost = with_hull ? kHullCost * static_cast<double>(m)
                                : kTestCost * static_cast<double>(m) +
                                      kPairCost * pairs.near_per_row();
  parallel_for(n, range_size(n, cost), num_threads, [&](std::int64_t begin, std::int64_t end) {
    if (with_hull) {
      hull_rows(pairs, begin, end, out);
    } else {
      overlap_rows(pairs, begin, end, quantity, out);
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
  return RotatedPairs::scratch_bytes(n, m);
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
