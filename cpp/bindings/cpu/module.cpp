// The module geodet._core. Names begin with nothing and promise nothing: geodet.ops is the API.
#include <pybind11/pybind11.h>

#include "families.hpp"

PYBIND11_MODULE(_core, module) {
  module.doc() = "CPU kernels of geodet on NumPy arrays; use geodet.ops instead.";
  geodet::bindings::bind_hulls(module);
  geodet::bindings::bind_keypoints(module);
  geodet::bindings::bind_matching(module);
  geodet::bindings::bind_box_gradients(module);
  geodet::bindings::bind_box_fusion(module);
  geodet::bindings::bind_box_overlap(module);
  geodet::bindings::bind_nms(module);
  geodet::bindings::bind_paste(module);
  geodet::bindings::bind_roi_align(module);
  geodet::bindings::bind_soft_nms(module);
  geodet::bindings::bind_polygon_fill(module);
  geodet::bindings::bind_polygon_shapes(module);
  geodet::bindings::bind_polygons(module);
  geodet::bindings::bind_rle(module);
  geodet::bindings::bind_rle_algebra(module);
  geodet::bindings::bind_rle_morphology(module);
  geodet::bindings::bind_rle_shapes(module);
  geodet::bindings::bind_rotated(module);
}
