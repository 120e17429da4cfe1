#include "geodet/hulls.hpp"

#include <cstring>
#include <utility>

#include "families.hpp"
#include "ring_arrays.hpp"
#include "rle_arrays.hpp"

namespace geodet::bindings {
namespace {

RingBatch read_sets(const py::array& points, const py::array& offsets) {
  const RingBatch sets = read_rings(points, offsets, "offsets", "set");
  raise_unless_usable(sets, "set");
  return sets;
}

std::pair<py::array_t<double>, py::array_t<std::int64_t>> hulls(const py::array& points,
                                                                const py::array& offsets,
                                                                int num_threads) {
  const RingBatch sets = read_sets(points, offsets);
  const std::int64_t num_points = points.shape(0);
  Buffer<HullPoint> sorted(num_points);
  Buffer<HullPoint> corners(num_points + sets.size);
  Buffer<std::int64_t> lengths(sets.size);
  Status status;
  {
    py::gil_scoped_release release;
    status = convex_hulls(sets, sorted.data(), corners.data(), lengths.data(), num_threads);
  }
  raise_unless_ok(status);
  py::array_t<std::int64_t> hull_offsets(sets.size + 1);
  std::int64_t* ends = hull_offsets.mutable_data();
  ends[0] = 0;
  for (std::int64_t i = 0; i < sets.size; ++i) ends[i + 1] = ends[i] + lengths[i];
  py::array_t<double> result({ends[sets.size], std::int64_t{2}});
  double* data = result.mutable_data();
  for (std::int64_t i = 0; i < sets.size; ++i) {
    std::memcpy(data + 2 * ends[i], corners.data() + sets.offsets[i] + i,
                static_cast<std::size_t>(lengths[i]) * sizeof(HullPoint));
  }
  return {std::move(result), std::move(hull_offsets)};
}

py::array_t<double> rectangles(const py::array& points, const py::array& offsets,
                               int num_threads) {
  const RingBatch sets = read_sets(points, offsets);
  const std::int64_t num_points = points.shape(0);
  Buffer<HullPoint> sorted(num_points);
  Buffer<HullPoint> corners(num_points + sets.size);
  Buffer<std::int64_t> lengths(sets.size);
  py::array_t<double> result({sets.size, std::int64_t{5}});
  double* data = result.mutable_data();
  Status status;
  {
    py::gil_scoped_release release;
    status = min_area_rectangles(sets, sorted.data(), corners.data(), lengths.data(), data,
                                 num_threads);
  }
  raise_unless_ok(status);
  return result;
}

}  // namespace

void bind_hulls(py::module_& module) {
  module.def("convex_hulls", &hulls, py::arg("points"), py::arg("offsets"),
             py::arg("num_threads"));
  module.def("min_area_rectangles", &rectangles, py::arg("points"), py::arg("offsets"),
             py::arg("num_threads"));
}

}  // namespace geodet::bindings
