#include "geodet/polygons.hpp"

#include <algorithm>
#include <utility>

#include "geodet/parallel.hpp"
#include "geodet/ring_edges.hpp"

namespace geodet {
namespace {

// Points, or crossings, that a thread should have before it is worth waking: about 1 ms.
constexpr std::int64_t kPointsPerRange = 1 << 17;
// Columns whose crossings are sorted at a time: their counters stay in the first-level cache.
constexpr std::int64_t kStripColumns = 2048;

std::int64_t rings_per_range(std::int64_t rings, std::int64_t items) {
  return kPointsPerRange * std::max<std::int64_t>(rings, 1) / (items + 1) + 1;
}

// Leaves the sorted positions that occur an odd number of times; returns how many.
std::int64_t cancel_pairs(std::int32_t* positions, std::int64_t count) {
  std::int64_t kept = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    if (kept > 0 && positions[kept - 1] == positions[k]) {
      --kept;
    } else {
      positions[kept++] = positions[k];
    }
  }
  return kept;
}

std::int64_t sort_and_cancel(std::int32_t* positions, std::int64_t count) {
  std::sort(positions, positions + count);
  return cancel_pairs(positions, count);
}

// Turns sorted positions where inside and outside change into runs; returns how many.
std::int64_t positions_to_runs(std::int32_t* positions, std::int64_t count,
                               std::int32_t num_pixels) {
  // A change at the very end is the end.
  if (count > 0 && positions[count - 1] == num_pixels) --count;
  std::int32_t previous = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    const std::int32_t position = positions[k];
    positions[k] = position - previous;
    previous = position;
  }
  positions[count] = num_pixels - previous;
  return count + 1;
}

// Positions are 0 to num_pixels; with room for twice as many, cancelling pairs always makes room.
std::int64_t most_crossings(std::int64_t num_pixels) { return 2 * num_pixels + 2; }

// Columns that the edges of a ring cross, half-open.
GridEdge::Columns crossed_by_ring(RingBatch rings, std::int64_t i, std::int64_t width) {
  std::int64_t first = width;
  std::int64_t end = 0;
  for_each_edge(rings, i, {}, [&](const GridEdge& edge) {
    const GridEdge::Columns columns = edge.crossed(width);
    if (columns.count == 0) return;
    first = std::min(first, columns.first);
    end = std::max(end, columns.first + columns.count);
  });
  return {first, std::max<std::int64_t>(end - first, 0)};
}

// Writes the crossings of some columns in order, after `filled` others; `next` is scratch for each
// column. Counting them first puts every crossing in its column at once: most columns have two.
std::int64_t place_strip(RingBatch rings, std::int64_t i, std::int64_t height,
                         GridEdge::Columns strip, std::int64_t* next, std::int32_t* slot,
                         std::int64_t filled) {
  const std::int64_t last = strip.first + strip.count;
  const auto for_each_column = [&](const GridEdge& edge, auto&& visit) {
    const GridEdge::Columns columns = edge.crossed(last);
    const std::int64_t end = columns.first + columns.count;
    for (std::int64_t c = std::max(columns.first, strip.first); c < end; ++c) visit(c);
  };
  std::int32_t* begin = slot + filled;
  std::fill(next, next + strip.count, 0);
  for_each_edge(rings, i, {}, [&](const GridEdge& edge) {
    for_each_column(edge, [&](std::int64_t c) { ++next[c - strip.first]; });
  });
  for (std::int64_t k = 0; k < strip.count; ++k) {
    const std::int64_t in_column = next[k];
    next[k] = filled;
    filled += in_column;
  }
  for_each_edge(rings, i, {}, [&](const GridEdge& edge) {
    for_each_column(edge, [&](std::int64_t c) {
      slot[next[c - strip.first]++] =
          static_cast<std::int32_t>(c * height + edge.row(c, height));
    });
  });
  for (std::int64_t k = 0; k < strip.count; ++k) {
    std::int32_t* end = slot + next[k];
    if (end - begin == 2) {
      if (begin[1] < begin[0]) std::swap(begin[0], begin[1]);
    } else {
      std::sort(begin, end);
    }
    begin = end;
  }
  return filled;
}

std::int64_t rasterize_ring(RingBatch rings, std::int64_t i, std::int64_t height,
                            std::int64_t width, std::int32_t* slot, std::int64_t slot_size) {
  const auto num_pixels = static_cast<std::int32_t>(height * width);
  if (height == 0 || slot_size == 1) return positions_to_runs(slot, 0, num_pixels);
  const GridEdge::Columns columns = crossed_by_ring(rings, i, width);
  const std::int64_t room = slot_size - 1;
  std::int64_t count = 0;
  if (room < most_crossings(num_pixels)) {
    std::int64_t next[kStripColumns];
    for (std::int64_t c = 0; c < columns.count; c += kStripColumns) {
      const std::int64_t some = std::min(kStripColumns, columns.count - c);
      count = place_strip(rings, i, height, {columns.first + c, some}, next, slot, count);
    }
    return positions_to_runs(slot, cancel_pairs(slot, count), num_pixels);
  }
  // A ring that crosses more often than the image has pixels repeats itself.
  for_each_edge(rings, i, {}, [&](const GridEdge& edge) {
    const GridEdge::Columns crossed = edge.crossed(width);
    for (std::int64_t c = crossed.first; c < crossed.first + crossed.count; ++c) {
      if (count == room) count = sort_and_cancel(slot, count);
      slot[count++] = static_cast<std::int32_t>(c * height + edge.row(c, height));
    }
  });
  return positions_to_runs(slot, sort_and_cancel(slot, count), num_pixels);
}

}  // namespace

std::int64_t first_unusable_ring(RingBatch rings) noexcept {
  for (std::int64_t i = 0; i < rings.size; ++i) {
    for (std::int64_t k = 2 * rings.offsets[i]; k < 2 * rings.offsets[i + 1]; ++k) {
      if (!is_usable_coordinate(rings.points[k])) return i;
    }
  }
  return -1;
}

Status ring_crossings(RingBatch rings, std::int64_t width, std::int64_t* crossings,
                      int num_threads) noexcept {
  if (width < 0) return Status::kInvalidArgument;
  const std::int64_t grain = rings_per_range(rings.size, rings.offsets[rings.size]);
  parallel_for(rings.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t count = 0;
      for_each_edge(rings, i, {},
                    [&](const GridEdge& edge) { count += edge.crossed(width).count; });
      crossings[i] = count;
    }
  });
  return Status::kOk;
}

std::int64_t ring_slot_size(std::int64_t crossings, std::int64_t num_pixels) noexcept {
  return std::min(crossings, most_crossings(num_pixels)) + 1;
}

Status rasterize_rings(RingBatch rings, std::int64_t height, std::int64_t width,
                       const std::int64_t* slot_offsets, std::int32_t* slots,
                       std::int64_t* lengths, int num_threads) noexcept {
  if (height < 0 || width < 0) return Status::kInvalidArgument;
  if (width > 0 && height > kMaxMaskPixels / width) return Status::kInvalidArgument;
  const std::int64_t grain = rings_per_range(rings.size, slot_offsets[rings.size]);
  parallel_for(rings.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      lengths[i] = rasterize_ring(rings, i, height, width, slots + slot_offsets[i],
                                  slot_offsets[i + 1] - slot_offsets[i]);
    }
  });
  return Status::kOk;
}

void ring_areas(RingBatch rings, double* areas) noexcept {
  for (std::int64_t i = 0; i < rings.size; ++i) {
    areas[i] = ring_area(rings.points + 2 * rings.offsets[i],
                         rings.offsets[i + 1] - rings.offsets[i]);
  }
}

}  // namespace geodet
