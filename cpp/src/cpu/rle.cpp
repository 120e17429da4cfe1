#include "geodet/rle.hpp"

#include <algorithm>

#include "geodet/parallel.hpp"

namespace geodet {
namespace {

// Run ends that a thread should compare before it is worth waking: 1 ms where masks overlap, less
// where boxes tell them apart.
constexpr std::int64_t kStepsPerRange = 1 << 20;

void summarize(RleBatch batch, std::int64_t height, std::int32_t* ends, RunsSummary* summaries) {
  rle_ends(batch, ends);
  for (std::int64_t i = 0; i < batch.size; ++i) {
    summaries[i] = {runs_area(batch[i]), runs_extent(batch[i], height)};
  }
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
    std::int64_t sum = 0;
    std::int32_t lowest = 0;
    for (std::int64_t k = 0; k < runs.count; ++k) {
      sum += runs.lengths[k];
      lowest = std::min(lowest, runs.lengths[k]);
    }
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

Status pairwise_rle_iou(RleBatch a, RleBatch b, const std::uint8_t* is_crowd, std::int64_t height,
                        std::int32_t* a_ends, std::int32_t* b_ends, RunsSummary* summaries,
                        double* iou, int num_threads) noexcept {
  if (height < 0) return Status::kInvalidArgument;
  const std::int64_t n = a.size;
  const std::int64_t m = b.size;
  if (n == 0 || m == 0) return Status::kOk;
  RunsSummary* b_summaries = summaries + n;
  summarize(a, height, a_ends, summaries);
  summarize(b, height, b_ends, b_summaries);
  const std::int64_t steps_per_row = a.offsets[n] / n * m + b.offsets[m] + m;
  const std::int64_t grain = kStepsPerRange / steps_per_row + 1;
  parallel_for(n, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t j = 0; j < m; ++j) {
        const bool crowd = is_crowd != nullptr && is_crowd[j] != 0;
        iou[i * m + j] = runs_overlap(summaries[i], a_ends + a.offsets[i], a[i].count,
                                      b_summaries[j], b_ends + b.offsets[j], b[j].count, crowd);
      }
    }
  });
  return Status::kOk;
}

}  // namespace geodet
