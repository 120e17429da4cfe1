#include "geodet/polygons.hpp"

#include <algorithm>

#include "geodet/parallel.hpp"

namespace geodet {
namespace {

// Points, or crossings, that a thread should have before it is worth waking: about 0.3 ms.
constexpr std::int64_t kPointsPerRange = 1 << 15;

std::int64_t rings_per_range(std::int64_t rings, std::int64_t items) {
  return kPointsPerRange * std::max<std::int64_t>(rings, 1) / (items + 1) + 1;
}

// Calls visit(edge) for every edge of ring i, the closing one included.
template <typename Visit>
void for_each_edge(RingBatch rings, std::int64_t i, Visit&& visit) {
  const double* points = rings.points + 2 * rings.offsets[i];
  const std::int64_t count = rings.offsets[i + 1] - rings.offsets[i];
  if (count < 3) return;  // one edge there and back
  GridPoint previous = to_grid(points + 2 * (count - 1));
  for (std::int64_t k = 0; k < count; ++k) {
    const GridPoint point = to_grid(points + 2 * k);
    visit(GridEdge(previous, point));
    previous = point;
  }
}

// Sorts positions and leaves those that occur an odd number of times; returns how many.
std::int64_t cancel_pairs(std::int32_t* positions, std::int64_t count) {
  std::sort(positions, positions + count);
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

std::int64_t rasterize_ring(RingBatch rings, std::int64_t i, std::int64_t height,
                            std::int64_t width, std::int32_t* slot, std::int64_t slot_size) {
  const std::int64_t room = slot_size - 1;
  std::int64_t count = 0;
  if (height > 0) {
    for_each_edge(rings, i, [&](const GridEdge& edge) {
      const GridEdge::Columns columns = edge.crossed(width);
      for (std::int64_t c = columns.first; c < columns.first + columns.count; ++c) {
        // A ring that crosses more often than the image has pixels repeats itself.
        if (count == room) count = cancel_pairs(slot, count);
        slot[count++] = static_cast<std::int32_t>(c * height + edge.row(c, height));
      }
    });
  }
  count = cancel_pairs(slot, count);
  return positions_to_runs(slot, count, static_cast<std::int32_t>(height * width));
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
      for_each_edge(rings, i,
                    [&](const GridEdge& edge) { count += edge.crossed(width).count; });
      crossings[i] = count;
    }
  });
  return Status::kOk;
}

std::int64_t ring_slot_size(std::int64_t crossings, std::int64_t num_pixels) noexcept {
  // Positions are 0 to num_pixels; twice as many and cancelling pairs always makes room.
  return std::min(crossings, 2 * num_pixels + 2) + 1;
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
