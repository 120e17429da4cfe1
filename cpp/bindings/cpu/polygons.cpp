#include "geodet/polygons.hpp"

#include "families.hpp"
#include "ring_arrays.hpp"
#include "rle_arrays.hpp"

namespace geodet::bindings {
namespace {

void check(const py::array& points, const py::array& ring_offsets, bool coordinates) {
  const RingBatch rings = read_rings(points, ring_offsets);
  if (coordinates) raise_unless_usable(rings);
}

// The run lengths of every ring by itself.
FlatRle rasterize(const py::array& points, const py::array& ring_offsets, std::int64_t height,
                  std::int64_t width, int num_threads) {
  const RingBatch rings = read_rings(points, ring_offsets);
  if (height < 0 || width < 0 || (width > 0 && height > kMaxMaskPixels / width)) {
    throw py::value_error("height, width: expected an image of 0 to 2^31 - 1 pixels");
  }
  raise_unless_usable(rings);
  Buffer<std::int64_t> slot_offsets(rings.size + 1);
  (void)ring_crossings(rings, width, slot_offsets.data() + 1, num_threads);
  slot_offsets[0] = 0;
  for (std::int64_t i = 1; i <= rings.size; ++i) {
    slot_offsets[i] = slot_offsets[i - 1] + ring_slot_size(slot_offsets[i], height * width);
  }
  Buffer<std::int32_t> slots(slot_offsets[rings.size]);
  Buffer<std::int64_t> lengths(rings.size);
  Status status;
  {
    py::gil_scoped_release release;
    status = rasterize_rings(rings, height, width, slot_offsets.data(), slots.data(),
                             lengths.data(), num_threads);
  }
  raise_unless_ok(status);
  return gather_rle(slots.data(), lengths.data(), rings.size,
                    [&](std::int64_t i) { return slot_offsets[i]; });
}

py::array_t<double> areas(const py::array& points, const py::array& ring_offsets) {
  const RingBatch rings = read_rings(points, ring_offsets);
  py::array_t<double> result(rings.size);
  ring_areas(rings, result.mutable_data());
  return result;
}

}  // namespace

void bind_polygons(py::module_& module) {
  module.def("ring_check", &check, py::arg("points"), py::arg("ring_offsets"),
             py::arg("coordinates"));
  module.def("rasterize_rings", &rasterize, py::arg("points"), py::arg("ring_offsets"),
             py::arg("height"), py::arg("width"), py::arg("num_threads"));
  module.def("ring_areas", &areas, py::arg("points"), py::arg("ring_offsets"));
}

}  // namespace geodet::bindings
