#include "geodet/polygon_fill.hpp"

#include <string>

#include "families.hpp"
#include "polygon_arrays.hpp"

namespace geodet::bindings {
namespace {

// `out` holds zeros, here and below.
void fill(const py::array& points, const py::array& ring_offsets, const py::array& part_offsets,
          const py::array& mask_offsets, py::array& out, int num_threads) {
  const PolygonBatch polygons =
      read_polygons(points, ring_offsets, part_offsets, mask_offsets);
  raise_unless_usable(polygons.rings);
  auto* masks = reinterpret_cast<std::uint8_t*>(write<bool>(out, 3, "out"));
  size(out, 0, polygons.size, "out");
  Status status;
  {
    py::gil_scoped_release release;
    status = fill_polygons(polygons, out.shape(1), out.shape(2), masks, num_threads);
  }
  raise_unless_ok(status);
}

void fill_rois(const py::array& points, const py::array& ring_offsets,
               const py::array& part_offsets, const py::array& mask_offsets,
               const py::array& boxes, double min_side, py::array& out, int num_threads) {
  const PolygonBatch polygons =
      read_polygons(points, ring_offsets, part_offsets, mask_offsets);
  const auto* xyxy = read<double>(boxes, 2, "boxes");
  size(boxes, 0, polygons.size, "boxes");
  size(boxes, 1, 4, "boxes");
  auto* masks = reinterpret_cast<std::uint8_t*>(write<bool>(out, 3, "out"));
  size(out, 0, polygons.size, "out");
  size(out, 2, out.shape(1), "out");
  std::int64_t row = 0;
  Status status;
  {
    py::gil_scoped_release release;
    status = fill_polygon_rois(polygons, xyxy, min_side, out.shape(1), masks, &row, num_threads);
  }
  if (status == Status::kInvalidValue) {
    raise_invalid_value("mask " + std::to_string(row) +
                        ": a coordinate, moved into its box, is not finite or beyond 1e8 pixels");
  }
  raise_unless_ok(status);
}

template <typename T>
void cover(const py::array& points, const py::array& ring_offsets, const py::array& part_offsets,
           const py::array& mask_offsets, py::array& out, int num_threads) {
  const PolygonBatch polygons =
      read_polygons(points, ring_offsets, part_offsets, mask_offsets);
  raise_unless_usable(polygons.rings);
  T* coverage = write<T>(out, 3, "out");
  size(out, 0, polygons.size, "out");
  Status status;
  {
    py::gil_scoped_release release;
    status = polygon_coverage(polygons, out.shape(1), out.shape(2), coverage, num_threads);
  }
  raise_unless_ok(status);
}

}  // namespace

void bind_polygon_fill(py::module_& module) {
  module.def("fill_polygons", &fill, py::arg("points"), py::arg("ring_offsets"),
             py::arg("part_offsets"), py::arg("mask_offsets"), py::arg("out"),
             py::arg("num_threads"));
  module.def("fill_polygon_rois", &fill_rois, py::arg("points"), py::arg("ring_offsets"),
             py::arg("part_offsets"), py::arg("mask_offsets"), py::arg("boxes"),
             py::arg("min_side"), py::arg("out"), py::arg("num_threads"));
  module.def("polygon_coverage_float32", &cover<float>, py::arg("points"),
             py::arg("ring_offsets"), py::arg("part_offsets"), py::arg("mask_offsets"),
             py::arg("out"), py::arg("num_threads"));
  module.def("polygon_coverage_float64", &cover<double>, py::arg("points"),
             py::arg("ring_offsets"), py::arg("part_offsets"), py::arg("mask_offsets"),
             py::arg("out"), py::arg("num_threads"));
}

}  // namespace geodet::bindings
