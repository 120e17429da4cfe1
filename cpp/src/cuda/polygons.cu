#include "geodet/polygons.hpp"

#include "launch.cuh"

namespace geodet::cuda {
namespace {

// The edge from point k to the next one of its ring; false where there is none to rasterise.
__device__ bool edge_at(RingBatch rings, std::int64_t ring, std::int64_t k, GridEdge* edge) {
  const std::int64_t begin = rings.offsets[ring];
  const std::int64_t end = rings.offsets[ring + 1];
  if (end - begin < 3) return false;
  const double* from = rings.points + 2 * k;
  const double* to = rings.points + 2 * (k + 1 < end ? k + 1 : begin);
  const bool usable = is_usable_coordinate(from[0]) && is_usable_coordinate(from[1]) &&
                      is_usable_coordinate(to[0]) && is_usable_coordinate(to[1]);
  if (usable) *edge = GridEdge(to_grid(from), to_grid(to));
  return usable;
}

__global__ void count_kernel(RingBatch rings, const std::int64_t* point_rings,
                             std::int64_t num_points, std::int64_t width,
                             std::int64_t* crossings) {
  for (std::int64_t k = first_item(); k < num_points; k += item_stride()) {
    GridEdge edge({0, 0}, {0, 0});
    crossings[k] = edge_at(rings, point_rings[k], k, &edge) ? edge.crossed(width).count : 0;
  }
}

__global__ void fill_kernel(RingBatch rings, const std::int64_t* point_rings,
                            std::int64_t num_points, std::int64_t height, std::int64_t width,
                            const std::int64_t* starts, std::int64_t* positions) {
  for (std::int64_t k = first_item(); k < num_points; k += item_stride()) {
    GridEdge edge({0, 0}, {0, 0});
    if (!edge_at(rings, point_rings[k], k, &edge)) continue;
    const GridEdge::Columns columns = edge.crossed(width);
    for (std::int64_t c = 0; c < columns.count; ++c) {
      const std::int64_t column = columns.first + c;
      positions[starts[k] + c] = column * height + edge.row(column, height);
    }
  }
}

__global__ void areas_kernel(RingBatch rings, double* areas) {
  for (std::int64_t i = first_item(); i < rings.size; i += item_stride()) {
    areas[i] = ring_area(rings.points + 2 * rings.offsets[i],
                         rings.offsets[i + 1] - rings.offsets[i]);
  }
}

}  // namespace

Status edge_crossings(RingBatch rings, const std::int64_t* point_rings, std::int64_t num_points,
                      std::int64_t width, std::int64_t* crossings, void* stream) noexcept {
  if (width < 0) return Status::kInvalidArgument;
  if (num_points == 0) return Status::kOk;
  count_kernel<<<blocks_for(num_points), kThreads, 0, as_stream(stream)>>>(
      rings, point_rings, num_points, width, crossings);
  return launch_status();
}

Status fill_crossings(RingBatch rings, const std::int64_t* point_rings, std::int64_t num_points,
                      std::int64_t height, std::int64_t width, const std::int64_t* starts,
                      std::int64_t* positions, void* stream) noexcept {
  if (height < 0 || width < 0) return Status::kInvalidArgument;
  if (num_points == 0) return Status::kOk;
  fill_kernel<<<blocks_for(num_points), kThreads, 0, as_stream(stream)>>>(
      rings, point_rings, num_points, height, width, starts, positions);
  return launch_status();
}

Status ring_areas(RingBatch rings, double* areas, void* stream) noexcept {
  if (rings.size == 0) return Status::kOk;
  areas_kernel<<<blocks_for(rings.size), kThreads, 0, as_stream(stream)>>>(rings, areas);
  return launch_status();
}

}  // namespace geodet::cuda
