#include "geodet/polygons.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

RingBatch read_rings(const DeviceArray& points, const DeviceArray& ring_offsets) {
  if (ring_offsets.size(0) < 1) throw py::value_error("ring_offsets: expected an element");
  const auto* data = points.data<const double>(2);
  points.expect(1, 2);
  return {data, ring_offsets.data<const std::int64_t>(1), ring_offsets.size(0) - 1};
}

void crossings(const py::object& points, const py::object& ring_offsets,
               const py::object& point_rings, std::int64_t width, const py::object& out,
               std::uintptr_t stream) {
  const DeviceArray points_array(points, "points");
  const RingBatch rings = read_rings(points_array, {ring_offsets, "ring_offsets"});
  const DeviceArray rings_array(point_rings, "point_rings");
  const DeviceArray out_array(out, "out");
  const std::int64_t num_points = rings_array.expect(0, points_array.size(0));
  out_array.expect(0, num_points);
  raise_unless_ok(cuda::edge_crossings(rings, rings_array.data<const std::int64_t>(1), num_points,
                                       width, out_array.data<std::int64_t>(1),
                                       reinterpret_cast<void*>(stream)));
}

void fill(const py::object& points, const py::object& ring_offsets, const py::object& point_rings,
          std::int64_t height, std::int64_t width, const py::object& starts,
          const py::object& positions, std::uintptr_t stream) {
  const DeviceArray points_array(points, "points");
  const RingBatch rings = read_rings(points_array, {ring_offsets, "ring_offsets"});
  const DeviceArray rings_array(point_rings, "point_rings");
  const DeviceArray starts_array(starts, "starts");
  const std::int64_t num_points = rings_array.expect(0, points_array.size(0));
  starts_array.expect(0, num_points);
  raise_unless_ok(cuda::fill_crossings(
      rings, rings_array.data<const std::int64_t>(1), num_points, height, width,
      starts_array.data<const std::int64_t>(1),
      DeviceArray(positions, "positions").data<std::int64_t>(1),
      reinterpret_cast<void*>(stream)));
}

void areas(const py::object& points, const py::object& ring_offsets, const py::object& out,
           std::uintptr_t stream) {
  const RingBatch rings = read_rings({points, "points"}, {ring_offsets, "ring_offsets"});
  const DeviceArray out_array(out, "out");
  out_array.expect(0, rings.size);
  raise_unless_ok(
      cuda::ring_areas(rings, out_array.data<double>(1), reinterpret_cast<void*>(stream)));
}

}  // namespace

void bind_polygons(py::module_& module) {
  module.def("edge_crossings", &crossings);
  module.def("fill_crossings", &fill);
  module.def("ring_areas", &areas);
}

}  // namespace geodet::bindings
