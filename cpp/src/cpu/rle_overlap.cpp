#include <algorithm>

#include "geodet/host_device.hpp"
#include "geodet/parallel.hpp"
#include "geodet/rle.hpp"
#include "geodet/rle_columns.hpp"

namespace geodet {
namespace {

// Run ends that a thread should compare before it is worth waking: 1 ms where masks overlap, less
// where boxes tell them apart.
constexpr std::int64_t kStepsPerRange = 1 << 20;
// Runs that a thread should lay out before it is worth waking.
constexpr std::int64_t kRunsPerRange = 1 << 18;
// A mask of more intervals in a column is compared run by run.
constexpr std::int32_t kMaxLayers = 8;
// What strips cost, measured in runs that are compared one by one in the same time: every pair of
// layers is a call and one sixth of a run a column.
constexpr std::int64_t kColumnsPerRun = 6;
constexpr std::int64_t kColumnsPerCall = 32;
// A mask of more whole columns than this is compared run by run: one run of an image of one row may
// stand for 2^31 columns.
constexpr std::int64_t kMaxColumnsPerRun = 64;
constexpr std::int64_t kMaxColumns = 4096;

MaskStrips plan_strips(Runs runs, std::int64_t height, std::int64_t begin) {
  if (runs_area(runs) / height > kMaxColumns + kMaxColumnsPerRun * runs.count) {
    return {begin, 0, 0, 0};
  }
  std::int32_t x1 = 0;
  std::int32_t x2 = 0;  // beyond the last column with a pixel
  std::int64_t segments = 0;
  std::int32_t in_column = 0;
  std::int32_t layers = 0;
  for_each_segment(runs, height, [&](std::int32_t x, std::int32_t, std::int32_t) {
    if (layers == 0) x1 = x;
    in_column = x + 1 == x2 ? in_column + 1 : 1;
    x2 = x + 1;
    layers = std::max(layers, in_column);
    ++segments;
  });
  const std::int64_t columns = x2 - x1;
  // Layers that are mostly empty waste memory and time.
  if (layers > kMaxLayers || layers * columns > kMaxLayers * segments) layers = 0;
  return {begin, x1, x2 - x1, layers};
}

void fill_strips(Runs runs, std::int64_t height, const MaskStrips& strips, std::int32_t* values) {
  const std::int64_t columns = strips.columns;
  std::int32_t* layer = values + strips.begin;
  std::fill(layer, layer + 2 * columns * strips.layers, 0);
  std::int64_t last = -1;
  for_each_segment(runs, height, [&](std::int32_t x, std::int32_t top, std::int32_t bottom) {
    const std::int64_t k = x - strips.x1;
    layer = k == last ? layer + 2 * columns : values + strips.begin;
    last = k;
    layer[k] = top;
    layer[columns + k] = bottom;
  });
}

// Rows that two columns of intervals share, over `count` columns.
GEODET_CLONES std::int32_t shared_rows(const std::int32_t* a_tops, const std::int32_t* a_bottoms,
                                       const std::int32_t* b_tops, const std::int32_t* b_bottoms,
                                       std::int64_t count) {
  std::int32_t shared = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    const std::int32_t top = std::max(a_tops[k], b_tops[k]);
    const std::int32_t bottom = std::min(a_bottoms[k], b_bottoms[k]);
    shared += std::max(bottom - top, 0);
  }
  return shared;
}

// Pixels that two masks share.
std::int64_t strips_intersection(const MaskStrips& a, const MaskStrips& b,
                                 const std::int32_t* values) {
  const std::int32_t x1 = std::max(a.x1, b.x1);
  const std::int32_t x2 = std::min(a.x1 + a.columns, b.x1 + b.columns);
  if (x2 <= x1) return 0;
  std::int64_t shared = 0;
  for (std::int32_t i = 0; i < a.layers; ++i) {
    const std::int32_t* a_tops = values + a.begin + 2 * i * a.columns + (x1 - a.x1);
    for (std::int32_t j = 0; j < b.layers; ++j) {
      const std::int32_t* b_tops = values + b.begin + 2 * j * b.columns + (x1 - b.x1);
      shared += shared_rows(a_tops, a_tops + a.columns, b_tops, b_tops + b.columns, x2 - x1);
    }
  }
  return shared;
}

// Whether strips are the quicker way to compare two masks.
bool strips_pay(const MaskStrips& a, const MaskStrips& b, std::int64_t runs) {
  const std::int64_t columns = std::min(a.columns, b.columns);
  return a.layers > 0 && b.layers > 0 &&
         a.layers * b.layers * (columns + kColumnsPerCall) < kColumnsPerRun * runs;
}

void summarize(RleBatch batch, std::int64_t height, std::int32_t* ends, RunsSummary* summaries) {
  rle_ends(batch, ends);
  for (std::int64_t i = 0; i < batch.size; ++i) {
    summaries[i] = {runs_area(batch[i]), runs_extent(batch[i], height)};
  }
}

}  // namespace

std::int64_t rle_strips_plan(RleBatch batch, std::int64_t height, std::int64_t first_value,
                             MaskStrips* strips) noexcept {
  std::int64_t values = first_value;
  for (std::int64_t i = 0; i < batch.size; ++i) {
    strips[i] = height > 0 ? plan_strips(batch[i], height, values) : MaskStrips{values, 0, 0, 0};
    values += std::int64_t{2} * strips[i].layers * strips[i].columns;
  }
  return values - first_value;
}

void rle_strips_fill(RleBatch batch, std::int64_t height, const MaskStrips* strips,
                     std::int32_t* values, int num_threads) noexcept {
  const std::int64_t grain =
      batch.size == 0 ? 1 : kRunsPerRange * batch.size / (batch.offsets[batch.size] + 1) + 1;
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (strips[i].layers > 0) fill_strips(batch[i], height, strips[i], values);
    }
  });
}

Status pairwise_rle_iou(RleBatch a, RleBatch b, const std::uint8_t* is_crowd, std::int64_t height,
                        const RleOverlapScratch& scratch, double* iou, int num_threads) noexcept {
  if (height < 0) return Status::kInvalidArgument;
  const std::int64_t n = a.size;
  const std::int64_t m = b.size;
  if (n == 0 || m == 0) return Status::kOk;
  RunsSummary* b_summaries = scratch.summaries + n;
  summarize(a, height, scratch.a_ends, scratch.summaries);
  summarize(b, height, scratch.b_ends, b_summaries);
  const auto overlap = [&](std::int64_t i, std::int64_t j) {
    const RunsSummary& one = scratch.summaries[i];
    const RunsSummary& other = b_summaries[j];
    const bool crowd = is_crowd != nullptr && is_crowd[j] != 0;
    const std::int64_t runs = a[i].count + b[j].count;
    if (scratch.strips != nullptr &&
        strips_pay(scratch.strips[i], scratch.strips[n + j], runs)) {
      if (!extents_overlap(one.extent, other.extent)) return 0.0;
      const std::int64_t common =
          strips_intersection(scratch.strips[i], scratch.strips[n + j], scratch.strip_values);
      return overlap_ratio(common, one.area, other.area, crowd);
    }
    return runs_overlap(one, scratch.a_ends + a.offsets[i], a[i].count, other,
                        scratch.b_ends + b.offsets[j], b[j].count, crowd);
  };
  const std::int64_t steps_per_row = a.offsets[n] / n * m + b.offsets[m] + m;
  const std::int64_t grain = kStepsPerRange / steps_per_row + 1;
  parallel_for(n, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t j = 0; j < m; ++j) iou[i * m + j] = overlap(i, j);
    }
  });
  return Status::kOk;
}

}  // namespace geodet
