// Checked views of polygon masks: rings, the parts made of them, and the masks made of parts.
#pragma once

#include <string>

#include "geodet/polygon_fill.hpp"
#include "ring_arrays.hpp"

namespace geodet::bindings {

// Offsets that go from 0 to `total` in steps of at least `step`.
inline const std::int64_t* read_level(const py::array& array, const char* name,
                                      std::int64_t total, std::int64_t step,
                                      const std::string& what) {
  const auto* offsets = read<std::int64_t>(array, 1, name);
  const std::int64_t last = array.shape(0) - 1;
  bool sound = last >= 0 && offsets[0] == 0 && offsets[last] == total;
  for (std::int64_t i = 0; sound && i < last; ++i) sound = offsets[i + 1] - offsets[i] >= step;
  if (!sound) {
    raise_invalid_value(std::string(name) + ": expected to rise from 0 to the number of " + what);
  }
  return offsets;
}

inline PolygonBatch read_polygons(const py::array& points, const py::array& ring_offsets,
                                  const py::array& part_offsets, const py::array& mask_offsets) {
  const RingBatch rings = read_rings(points, ring_offsets);
  const auto* parts = read_level(
      part_offsets, "part_offsets", rings.size, 1,
      "rings, " + std::to_string(rings.size) + ", with an outline ring for every part");
  const std::int64_t num_parts = part_offsets.shape(0) - 1;
  const auto* masks = read_level(mask_offsets, "mask_offsets", num_parts, 0,
                                 "parts, " + std::to_string(num_parts));
  return {rings, parts, masks, mask_offsets.shape(0) - 1};
}

}  // namespace geodet::bindings
