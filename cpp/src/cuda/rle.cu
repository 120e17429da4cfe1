#include "geodet/rle.hpp"

#include "geodet/rle_moves.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

__global__ void area_kernel(RleBatch batch, std::int64_t* areas) {
  for (std::int64_t i = first_item(); i < batch.size; i += item_stride()) {
    areas[i] = runs_area(batch[i]);
  }
}

__global__ void boxes_kernel(RleBatch batch, std::int64_t height, float* boxes) {
  for (std::int64_t i = first_item(); i < batch.size; i += item_stride()) {
    const RunsExtent extent = runs_extent(batch[i], height);
    boxes[4 * i] = static_cast<float>(extent.x1);
    boxes[4 * i + 1] = static_cast<float>(extent.y1);
    boxes[4 * i + 2] = static_cast<float>(extent.x2);
    boxes[4 * i + 3] = static_cast<float>(extent.y2);
  }
}

__global__ void ends_kernel(RleBatch batch, std::int32_t* ends) {
  for (std::int64_t i = first_item(); i < batch.size; i += item_stride()) {
    std::int32_t end = 0;
    for (std::int64_t k = batch.offsets[i]; k < batch.offsets[i + 1]; ++k) {
      end += batch.counts[k];
      ends[k] = end;
    }
  }
}

__global__ void summary_kernel(RleBatch batch, std::int64_t height, RunsSummary* summaries) {
  for (std::int64_t i = first_item(); i < batch.size; i += item_stride()) {
    summaries[i] = {runs_area(batch[i]), runs_extent(batch[i], height)};
  }
}

__global__ void iou_kernel(RleBatch a, RleBatch b, const std::uint8_t* is_crowd,
                           const std::int32_t* a_ends, const std::int32_t* b_ends,
                           const RunsSummary* summaries, double* iou) {
  const std::int64_t m = b.size;
  const RunsSummary* b_summaries = summaries + a.size;
  for (std::int64_t k = first_item(); k < a.size * m; k += item_stride()) {
    const std::int64_t i = k / m;
    const std::int64_t j = k % m;
    const bool crowd = is_crowd != nullptr && is_crowd[j] != 0;
    iou[k] = runs_overlap(summaries[i], a_ends + a.offsets[i], a[i].count, b_summaries[j],
                          b_ends + b.offsets[j], b[j].count, crowd);
  }
}

__global__ void decode_kernel(RleBatch batch, const std::int32_t* ends, std::int64_t height,
                              std::int64_t width, std::uint8_t* masks) {
  const std::int64_t num_pixels = height * width;
  for (std::int64_t k = first_item(); k < batch.size * num_pixels; k += item_stride()) {
    const std::int64_t i = k / num_pixels;
    const std::int64_t y = k % num_pixels / width;
    const std::int64_t x = k % width;
    masks[k] = ends_contain(ends + batch.offsets[i], batch[i].count, x * height + y) ? 1 : 0;
  }
}

__global__ void count_kernel(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                             std::int64_t width, std::int32_t* changes) {
  for (std::int64_t k = first_item(); k < n * width; k += item_stride()) {
    const std::uint8_t* mask = masks + k / width * height * width;
    std::int32_t count = 0;
    for (std::int64_t y = 0; y < height; ++y) {
      count += changes_at(mask, height, width, k % width, y) ? 1 : 0;
    }
    changes[k] = count;
  }
}

__global__ void fill_kernel(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                            std::int64_t width, const std::int64_t* starts,
                            std::int64_t* positions) {
  for (std::int64_t k = first_item(); k < n * width; k += item_stride()) {
    const std::uint8_t* mask = masks + k / width * height * width;
    const std::int64_t x = k % width;
    std::int64_t next = starts[k];
    for (std::int64_t y = 0; y < height; ++y) {
      if (changes_at(mask, height, width, x, y)) positions[next++] = x * height + y;
    }
  }
}

__global__ void remap_count_kernel(RleBatch batch, const std::int32_t* ends, ColumnMap map,
                                   std::int32_t* changes) {
  for (std::int64_t k = first_item(); k < batch.size * map.new_width; k += item_stride()) {
    const std::int64_t i = k / map.new_width;
    std::int32_t count = 0;
    for_each_moved_change(ends + batch.offsets[i], batch[i].count, map, k % map.new_width,
                          [&](std::int64_t) { ++count; });
    changes[k] = count;
  }
}

__global__ void remap_fill_kernel(RleBatch batch, const std::int32_t* ends, ColumnMap map,
                                  const std::int64_t* starts, std::int64_t* positions) {
  for (std::int64_t k = first_item(); k < batch.size * map.new_width; k += item_stride()) {
    const std::int64_t i = k / map.new_width;
    const std::int64_t j = k % map.new_width;
    std::int64_t next = starts[k];
    for_each_moved_change(ends + batch.offsets[i], batch[i].count, map, j,
                          [&](std::int64_t y) { positions[next++] = j * map.new_height + y; });
  }
}

}  // namespace

Status rle_area(RleBatch batch, std::int64_t* areas, void* stream) noexcept {
  if (batch.size == 0) return Status::kOk;
  area_kernel<<<blocks_for(batch.size), kThreads, 0, as_stream(stream)>>>(batch, areas);
  return launch_status();
}

Status rle_boxes(RleBatch batch, std::int64_t height, float* boxes, void* stream) noexcept {
  if (batch.size == 0) return Status::kOk;
  boxes_kernel<<<blocks_for(batch.size), kThreads, 0, as_stream(stream)>>>(batch, height, boxes);
  return launch_status();
}

Status rle_ends(RleBatch batch, std::int32_t* ends, void* stream) noexcept {
  if (batch.size == 0) return Status::kOk;
  ends_kernel<<<blocks_for(batch.size), kThreads, 0, as_stream(stream)>>>(batch, ends);
  return launch_status();
}

Status pairwise_rle_iou(RleBatch a, RleBatch b, const std::uint8_t* is_crowd, std::int64_t height,
                        const std::int32_t* a_ends, const std::int32_t* b_ends,
                        RunsSummary* summaries, double* iou, void* stream) noexcept {
  if (height < 0) return Status::kInvalidArgument;
  if (a.size == 0 || b.size == 0) return Status::kOk;
  summary_kernel<<<blocks_for(a.size), kThreads, 0, as_stream(stream)>>>(a, height, summaries);
  summary_kernel<<<blocks_for(b.size), kThreads, 0, as_stream(stream)>>>(b, height,
                                                                         summaries + a.size);
  iou_kernel<<<blocks_for(a.size * b.size), kThreads, 0, as_stream(stream)>>>(
      a, b, is_crowd, a_ends, b_ends, summaries, iou);
  return launch_status();
}

Status rle_decode(RleBatch batch, const std::int32_t* ends, std::int64_t height,
                  std::int64_t width, std::uint8_t* masks, void* stream) noexcept {
  if (height < 0 || width < 0) return Status::kInvalidArgument;
  const std::int64_t pixels = batch.size * height * width;
  if (pixels == 0) return Status::kOk;
  decode_kernel<<<blocks_for(pixels), kThreads, 0, as_stream(stream)>>>(batch, ends, height, width,
                                                                        masks);
  return launch_status();
}

Status rle_encode_count(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                        std::int64_t width, std::int32_t* changes, void* stream) noexcept {
  if (n < 0 || height < 0 || width < 0) return Status::kInvalidArgument;
  if (n * width == 0) return Status::kOk;
  count_kernel<<<blocks_for(n * width), kThreads, 0, as_stream(stream)>>>(masks, n, height, width,
                                                                          changes);
  return launch_status();
}

Status rle_encode_fill(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                       std::int64_t width, const std::int64_t* starts, std::int64_t* positions,
                       void* stream) noexcept {
  if (n < 0 || height < 0 || width < 0) return Status::kInvalidArgument;
  if (n * width == 0) return Status::kOk;
  fill_kernel<<<blocks_for(n * width), kThreads, 0, as_stream(stream)>>>(masks, n, height, width,
                                                                         starts, positions);
  return launch_status();
}

Status rle_remap_count(RleBatch batch, const std::int32_t* ends, const ColumnMap& map,
                       std::int32_t* changes, void* stream) noexcept {
  if (map.new_height <= 0 || map.new_width <= 0) return Status::kInvalidArgument;
  if (batch.size == 0) return Status::kOk;
  remap_count_kernel<<<blocks_for(batch.size * map.new_width), kThreads, 0, as_stream(stream)>>>(
      batch, ends, map, changes);
  return launch_status();
}

Status rle_remap_fill(RleBatch batch, const std::int32_t* ends, const ColumnMap& map,
                      const std::int64_t* starts, std::int64_t* positions, void* stream) noexcept {
  if (map.new_height <= 0 || map.new_width <= 0) return Status::kInvalidArgument;
  if (batch.size == 0) return Status::kOk;
  remap_fill_kernel<<<blocks_for(batch.size * map.new_width), kThreads, 0, as_stream(stream)>>>(
      batch, ends, map, starts, positions);
  return launch_status();
}

}  // namespace geodet::cuda
