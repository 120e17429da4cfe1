// Checked views of rings: points and where each ring begins.
#pragma once

#include <string>

#include "arrays.hpp"
#include "geodet/polygons.hpp"
#include "invalid_value.hpp"

namespace geodet::bindings {

// Views of points [p, 2] and of offsets [r + 1] that rise from 0 to p. `offsets_name` is what the
// user knows them by, `item` what lies between two of them.
inline RingBatch read_rings(const py::array& points, const py::array& ring_offsets,
                            const std::string& offsets_name = "ring_offsets",
                            const char* item = "ring") {
  const auto* data = read<double>(points, 2, "points");
  size(points, 1, 2, "points");
  const auto* offsets = read<std::int64_t>(ring_offsets, 1, offsets_name.c_str());
  const std::int64_t last = ring_offsets.shape(0) - 1;
  if (last < 0) throw py::value_error(offsets_name + ": expected at least one element");
  for (std::int64_t i = 0; i < last; ++i) {
    if (offsets[i] > offsets[i + 1]) {
      raise_invalid_value(offsets_name + ": expected to rise, got " + std::to_string(offsets[i]) +
                          " before " + std::to_string(offsets[i + 1]) + " at " + item + " " +
                          std::to_string(i));
    }
  }
  if (offsets[0] != 0 || offsets[last] != points.shape(0)) {
    raise_invalid_value(offsets_name + ": expected to rise from 0 to the number of points, " +
                        std::to_string(points.shape(0)));
  }
  return {data, offsets, last};
}

inline void raise_unless_usable(RingBatch rings, const char* item = "ring") {
  const std::int64_t unusable = first_unusable_ring(rings);
  if (unusable < 0) return;
  raise_invalid_value(std::string("points: ") + item + " " + std::to_string(unusable) +
                      " has a coordinate that is not finite or beyond 1e8 pixels");
}

}  // namespace geodet::bindings
