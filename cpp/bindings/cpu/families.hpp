// One binding function a kernel family.
#pragma once

#include <pybind11/pybind11.h>

namespace geodet::bindings {

void bind_hulls(pybind11::module_& module);
void bind_keypoints(pybind11::module_& module);
void bind_matching(pybind11::module_& module);
void bind_box_gradients(pybind11::module_& module);
void bind_box_fusion(pybind11::module_& module);
void bind_box_overlap(pybind11::module_& module);
void bind_nms(pybind11::module_& module);
void bind_paste(pybind11::module_& module);
void bind_roi_align(pybind11::module_& module);
void bind_soft_nms(pybind11::module_& module);
void bind_polygon_fill(pybind11::module_& module);
void bind_polygon_shapes(pybind11::module_& module);
void bind_polygons(pybind11::module_& module);
void bind_rle(pybind11::module_& module);
void bind_rle_algebra(pybind11::module_& module);
void bind_rle_morphology(pybind11::module_& module);
void bind_rle_shapes(pybind11::module_& module);
void bind_rotated(pybind11::module_& module);

}  // namespace geodet::bindings
