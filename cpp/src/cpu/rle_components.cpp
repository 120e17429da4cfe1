#include <algorithm>

#include "geodet/parallel.hpp"
#include "geodet/rle_shapes.hpp"

namespace geodet {
namespace {

// Segments that a thread should look at before it is worth waking: about 0.3 ms.
constexpr std::int64_t kSegmentsPerRange = 1 << 15;

std::int64_t masks_per_range(SegmentBatch batch) {
  return kSegmentsPerRange * std::max<std::int64_t>(batch.size, 1) /
             (batch.offsets[batch.size] + batch.size + 1) +
         1;
}

// Union-find in which the first segment of a set is its root, so that roots come in the order of
// first pixels. Paths are halved on the way.
std::int32_t find_root(std::int32_t* parents, std::int32_t i) {
  while (parents[i] != i) {
    parents[i] = parents[parents[i]];
    i = parents[i];
  }
  return i;
}

void unite(std::int32_t* parents, std::int32_t a, std::int32_t b) {
  a = find_root(parents, a);
  b = find_root(parents, b);
  parents[std::max(a, b)] = std::min(a, b);
}

std::int64_t label_mask(const ColumnSegment* segments, std::int64_t count,
                        Connectivity connectivity, std::int32_t* labels) {
  // Segments that meet end to end in y touch at a corner.
  const std::int32_t reach = connectivity == Connectivity::kCorners ? 1 : 0;
  for (std::int64_t i = 0; i < count; ++i) labels[i] = static_cast<std::int32_t>(i);
  for_each_line(segments, count, [&](std::int64_t, SegmentRange left, SegmentRange right) {
    std::int64_t a = 0;
    std::int64_t b = 0;
    while (a < left.size && b < right.size) {
      const ColumnSegment& l = left.begin[a];
      const ColumnSegment& r = right.begin[b];
      if (l.y1 < r.y2 + reach && r.y1 < l.y2 + reach) {
        unite(labels, static_cast<std::int32_t>(left.begin + a - segments),
              static_cast<std::int32_t>(right.begin + b - segments));
      }
      // The one that ends first touches nothing after the other one: at least a row lies between.
      if (l.y2 <= r.y2) {
        ++a;
      } else {
        ++b;
      }
    }
  });
  // Parents lie before their children: one pass flattens, the next counts.
  for (std::int64_t i = 0; i < count; ++i) labels[i] = labels[labels[i]];
  std::int32_t components = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    labels[i] = labels[i] == i ? components++ : labels[labels[i]];
  }
  return components;
}

}  // namespace

void rle_count_segments(RleBatch batch, std::int64_t height, std::int64_t* num_segments) noexcept {
  for (std::int64_t i = 0; i < batch.size; ++i) {
    std::int64_t count = 0;
    for_each_segment(batch[i], height,
                     [&](std::int32_t, std::int32_t, std::int32_t) { ++count; });
    num_segments[i] = count;
  }
}

void rle_list_segments(RleBatch batch, std::int64_t height, const std::int64_t* segment_offsets,
                       ColumnSegment* segments, int num_threads) noexcept {
  const std::int64_t grain = masks_per_range({segments, segment_offsets, batch.size});
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      ColumnSegment* out = segments + segment_offsets[i];
      for_each_segment(batch[i], height, [&](std::int32_t x, std::int32_t y1, std::int32_t y2) {
        *out++ = {x, y1, y2};
      });
    }
  });
}

Status label_segments(SegmentBatch batch, Connectivity connectivity, std::int32_t* labels,
                      std::int64_t* num_components, int num_threads) noexcept {
  if (connectivity != Connectivity::kSides && connectivity != Connectivity::kCorners) {
    return Status::kInvalidArgument;
  }
  const std::int64_t grain = masks_per_range(batch);
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = batch.offsets[i];
      num_components[i] = label_mask(batch.segments + first, batch.offsets[i + 1] - first,
                                     connectivity, labels + first);
    }
  });
  return Status::kOk;
}

void paint_labels(SegmentBatch batch, const std::int32_t* segment_labels, std::int64_t height,
                  std::int64_t width, std::int32_t* labels, int num_threads) noexcept {
  const std::int64_t grain = masks_per_range(batch);
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int32_t* mask = labels + i * height * width;
      for (std::int64_t k = batch.offsets[i]; k < batch.offsets[i + 1]; ++k) {
        const ColumnSegment& segment = batch.segments[k];
        std::int32_t* pixel = mask + segment.y1 * width + segment.x;
        for (std::int32_t y = segment.y1; y < segment.y2; ++y, pixel += width) {
          *pixel = segment_labels[k] + 1;
        }
      }
    }
  });
}

void count_component_segments(SegmentBatch batch, const std::int32_t* labels,
                              const std::int64_t* component_offsets,
                              std::int64_t* sizes) noexcept {
  std::fill(sizes, sizes + component_offsets[batch.size], 0);
  for (std::int64_t i = 0; i < batch.size; ++i) {
    std::int64_t* own = sizes + component_offsets[i];
    for (std::int64_t k = batch.offsets[i]; k < batch.offsets[i + 1]; ++k) ++own[labels[k]];
  }
}

void write_components(SegmentBatch batch, const std::int32_t* labels,
                      const std::int64_t* component_offsets, std::int64_t height,
                      std::int64_t num_pixels, const std::int64_t* slot_offsets,
                      std::int32_t* slots, std::int64_t* ends, std::int64_t* lengths,
                      int num_threads) noexcept {
  const std::int64_t grain = masks_per_range(batch);
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t c = component_offsets[i]; c < component_offsets[i + 1]; ++c) {
        ends[c] = 0;
        lengths[c] = 0;
      }
      // Segments of all components come mixed; each component keeps where its last run ended.
      for (std::int64_t k = batch.offsets[i]; k < batch.offsets[i + 1]; ++k) {
        const ColumnSegment& segment = batch.segments[k];
        const std::int64_t c = component_offsets[i] + labels[k];
        std::int32_t* runs = slots + slot_offsets[c];
        const std::int64_t start = segment.x * height + segment.y1;
        const std::int32_t length = segment.y2 - segment.y1;
        if (lengths[c] > 0 && start == ends[c]) {
          runs[lengths[c] - 1] += length;
        } else {
          runs[lengths[c]++] = static_cast<std::int32_t>(start - ends[c]);
          runs[lengths[c]++] = length;
        }
        ends[c] = start + length;
      }
      for (std::int64_t c = component_offsets[i]; c < component_offsets[i + 1]; ++c) {
        if (ends[c] == num_pixels) continue;
        slots[slot_offsets[c] + lengths[c]++] = static_cast<std::int32_t>(num_pixels - ends[c]);
      }
    }
  });
}

}  // namespace geodet
