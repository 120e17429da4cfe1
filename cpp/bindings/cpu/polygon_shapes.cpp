#include "geodet/polygon_clip.hpp"
#include "geodet/ring_shapes.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "families.hpp"
#include "polygon_arrays.hpp"
#include "rle_arrays.hpp"

namespace geodet::bindings {
namespace {

using Levels = std::tuple<py::array_t<double>, py::array_t<std::int64_t>,
                          py::array_t<std::int64_t>, py::array_t<std::int64_t>>;

// Offsets [n + 1] from where each row ends.
py::array_t<std::int64_t> offsets_from(const std::int64_t* ends, std::int64_t n) {
  py::array_t<std::int64_t> offsets(n + 1);
  std::int64_t* data = offsets.mutable_data();
  data[0] = 0;
  std::copy(ends, ends + n, data + 1);
  return offsets;
}

py::array_t<double> points_from(const void* points, std::int64_t count) {
  py::array_t<double> array({count, std::int64_t{2}});
  std::memcpy(array.mutable_data(), points,
              static_cast<std::size_t>(count) * 2 * sizeof(double));
  return array;
}

// A list of parts and the memory that it is made in.
struct PartBuffers {
  explicit PartBuffers(std::int64_t size)
      : points(size), ring_ends(size), part_ends(size) {
    list = {points.data(), ring_ends.data(), part_ends.data(), 0, 0, 0};
  }

  Buffer<RingPoint> points;
  Buffer<std::int64_t> ring_ends;
  Buffer<std::int64_t> part_ends;
  PartList list{};
};

Levels clip(const py::array& points, const py::array& ring_offsets, const py::array& part_offsets,
            const py::array& mask_offsets, double x1, double y1, double x2, double y2) {
  const PolygonBatch polygons = read_polygons(points, ring_offsets, part_offsets, mask_offsets);
  raise_unless_usable(polygons.rings);
  std::int64_t largest = 0;
  std::int64_t all = 0;
  for (std::int64_t part = 0; part < part_offsets.shape(0) - 1; ++part) {
    const std::int64_t first = polygons.part_offsets[part];
    const std::int64_t last = polygons.part_offsets[part + 1];
    const std::int64_t size =
        clipped_size(polygons.rings.offsets[last] - polygons.rings.offsets[first], last - first);
    largest = std::max(largest, size);
    all += size;
  }
  PartBuffers here(largest);
  PartBuffers there(largest);
  PartBuffers out(all);
  Buffer<RingPoint> chain_points(largest);
  Buffer<ClipChain> chains(largest);
  Buffer<std::int64_t> entries(largest);
  Buffer<std::int64_t> exits(largest);
  Buffer<RingPoint> ring_points(largest);
  Buffer<ClipRing> rings(largest);
  Buffer<std::int64_t> mask_ends(polygons.size);
  const double window[4] = {x1, y1, x2, y2};
  Status status;
  {
    py::gil_scoped_release release;
    status = clip_polygons(polygons, window,
                           {here.list, there.list, chain_points.data(), chains.data(),
                            entries.data(), exits.data(), ring_points.data(), rings.data()},
                           &out.list, mask_ends.data());
  }
  raise_unless_ok(status);
  return {points_from(out.list.points, out.list.num_points),
          offsets_from(out.list.ring_ends, out.list.num_rings),
          offsets_from(out.list.part_ends, out.list.num_parts),
          offsets_from(mask_ends.data(), polygons.size)};
}

std::pair<py::array_t<double>, py::array_t<std::int64_t>> simplify(const py::array& points,
                                                                   const py::array& ring_offsets,
                                                                   double tolerance,
                                                                   int num_threads) {
  const RingBatch rings = read_rings(points, ring_offsets);
  raise_unless_usable(rings);
  const std::int64_t num_points = points.shape(0);
  Buffer<std::int64_t> stack(2 * num_points);
  Buffer<std::uint8_t> keep(num_points);
  Status status;
  {
    py::gil_scoped_release release;
    status = simplify_rings(rings, tolerance, stack.data(), keep.data(), num_threads);
  }
  raise_unless_ok(status);
  Buffer<RingPoint> kept(num_points);
  Buffer<std::int64_t> ends(rings.size);
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < rings.size; ++i) {
    for (std::int64_t k = rings.offsets[i]; k < rings.offsets[i + 1]; ++k) {
      if (keep[k] != 0) kept[count++] = {rings.points[2 * k], rings.points[2 * k + 1]};
    }
    ends[i] = count;
  }
  return {points_from(kept.data(), count), offsets_from(ends.data(), rings.size)};
}

py::array_t<bool> are_simple(const py::array& points, const py::array& ring_offsets,
                             int num_threads) {
  const RingBatch rings = read_rings(points, ring_offsets);
  raise_unless_usable(rings);
  Buffer<EdgeReach> edges(points.shape(0));
  py::array_t<bool> result(rings.size);
  auto* data = reinterpret_cast<std::uint8_t*>(result.mutable_data());
  Status status;
  {
    py::gil_scoped_release release;
    status = rings_are_simple(rings, edges.data(), data, num_threads);
  }
  raise_unless_ok(status);
  return result;
}

}  // namespace

void bind_polygon_shapes(py::module_& module) {
  module.def("clip_polygons", &clip, py::arg("points"), py::arg("ring_offsets"),
             py::arg("part_offsets"), py::arg("mask_offsets"), py::arg("x1"), py::arg("y1"),
             py::arg("x2"), py::arg("y2"));
  module.def("simplify_polygons", &simplify, py::arg("points"), py::arg("ring_offsets"),
             py::arg("tolerance"), py::arg("num_threads"));
  module.def("rings_are_simple", &are_simple, py::arg("points"), py::arg("ring_offsets"),
             py::arg("num_threads"));
}

}  // namespace geodet::bindings
