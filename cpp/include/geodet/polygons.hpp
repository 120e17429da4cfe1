// Polygons to masks, pixel for pixel as COCO rasterises them.
//
// `points [p, 2]` are x, y in continuous pixels; ring i is points ring_offsets[i] up to
// ring_offsets[i + 1], closed by itself; rings of fewer than three points cover nothing.
#pragma once

#include <cstdint>

#include "geodet/polygon_edge.hpp"
#include "geodet/rle_runs.hpp"
#include "geodet/status.hpp"

namespace geodet {

struct RingBatch {
  const double* points;
  const std::int64_t* offsets;
  std::int64_t size;
};

// Index of the first ring with a coordinate that is not finite or beyond kMaxCoordinate; -1 when
// all can be used.
std::int64_t first_unusable_ring(RingBatch rings) noexcept;

// crossings [r]: how many columns the edges of each ring cross, counted with repetition.
Status ring_crossings(RingBatch rings, std::int64_t width, std::int64_t* crossings,
                      int num_threads) noexcept;

// Room that a ring of so many crossings needs in `slots`.
std::int64_t ring_slot_size(std::int64_t crossings, std::int64_t num_pixels) noexcept;

// Rasterises each ring by itself. slot_offsets [r + 1] are sums of ring_slot_size; the runs of
// ring i are written to slots + slot_offsets[i], and lengths [r] says how many.
Status rasterize_rings(RingBatch rings, std::int64_t height, std::int64_t width,
                       const std::int64_t* slot_offsets, std::int32_t* slots,
                       std::int64_t* lengths, int num_threads) noexcept;

// areas [r]: signed area in square pixels, positive for clockwise on the screen (y down).
void ring_areas(RingBatch rings, double* areas) noexcept;

namespace cuda {

// The same on device memory, queued on `stream` (a cudaStream_t): one edge starts at every point.
//   point_rings [p]: the ring of each point.
//   crossings [p]: how many columns each edge crosses; 0 where the coordinates cannot be used.
Status edge_crossings(RingBatch rings, const std::int64_t* point_rings, std::int64_t num_points,
                      std::int64_t width, std::int64_t* crossings, void* stream) noexcept;
// Positions where the edge at point k changes inside and outside, at positions + starts[k].
Status fill_crossings(RingBatch rings, const std::int64_t* point_rings, std::int64_t num_points,
                      std::int64_t height, std::int64_t width, const std::int64_t* starts,
                      std::int64_t* positions, void* stream) noexcept;
Status ring_areas(RingBatch rings, double* areas, void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
