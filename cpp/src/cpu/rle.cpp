#include "geodet/rle.hpp"

#include <algorithm>

namespace geodet {
namespace {

struct Total {
  std::int64_t sum;
  std::int32_t lowest;  // run length, or 0
};

Total total(Runs runs) {
  // As whole numbers without sign, of which the oldest processors add four at a time.
  std::int32_t any = 0;
  std::uint64_t sum = 0;
  for (std::int64_t k = 0; k < runs.count; ++k) {
    any |= runs.lengths[k];
    sum += static_cast<std::uint32_t>(runs.lengths[k]);
  }
  if (any >= 0) return {static_cast<std::int64_t>(sum), 0};
  return {0, *std::min_element(runs.lengths, runs.lengths + runs.count)};
}

}  // namespace

RleReport rle_check(RleBatch batch, std::int64_t num_counts, std::int64_t num_pixels) noexcept {
  const std::int64_t wanted = std::max<std::int64_t>(num_pixels, 0);
  if (batch.offsets[0] != 0) return {RleFault::kOffsets, 0, batch.offsets[0], wanted};
  // All offsets before any run length: the last one may not be what the first rows lead to.
  for (std::int64_t i = 0; i < batch.size; ++i) {
    const std::int64_t end = batch.offsets[i + 1];
    if (end < batch.offsets[i] || end > num_counts) return {RleFault::kOffsets, i, end, wanted};
  }
  if (batch.offsets[batch.size] != num_counts) {
    const std::int64_t last = std::max<std::int64_t>(batch.size - 1, 0);
    return {RleFault::kOffsets, last, batch.offsets[batch.size], wanted};
  }
  for (std::int64_t i = 0; i < batch.size; ++i) {
    const Runs runs = batch[i];
    const auto [sum, lowest] = total(runs);
    if (lowest < 0) return {RleFault::kNegative, i, lowest, wanted};
    if (num_pixels < 0) num_pixels = std::min(sum, kMaxMaskPixels);
    if (sum != num_pixels) return {RleFault::kSum, i, sum, num_pixels};
  }
  return {RleFault::kNone, 0, 0, std::max<std::int64_t>(num_pixels, 0)};
}

void rle_area(RleBatch batch, std::int64_t* areas) noexcept {
  for (std::int64_t i = 0; i < batch.size; ++i) areas[i] = runs_area(batch[i]);
}

void rle_boxes(RleBatch batch, std::int64_t height, float* boxes) noexcept {
  for (std::int64_t i = 0; i < batch.size; ++i) {
    const RunsExtent extent = runs_extent(batch[i], height);
    boxes[4 * i] = static_cast<float>(extent.x1);
    boxes[4 * i + 1] = static_cast<float>(extent.y1);
    boxes[4 * i + 2] = static_cast<float>(extent.x2);
    boxes[4 * i + 3] = static_cast<float>(extent.y2);
  }
}

void rle_ends(RleBatch batch, std::int32_t* ends) noexcept {
  for (std::int64_t i = 0; i < batch.size; ++i) {
    std::int32_t end = 0;
    for (std::int64_t k = batch.offsets[i]; k < batch.offsets[i + 1]; ++k) {
      end += batch.counts[k];
      ends[k] = end;
    }
  }
}

}  // namespace geodet
