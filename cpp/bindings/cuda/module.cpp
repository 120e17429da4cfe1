// The module geodet._core_cuda: the kernels of geodet._core on device memory. Every function takes
// the stream to queue on as an integer and returns before the work is done.
#include <cuda_runtime_api.h>
#include <pybind11/pybind11.h>

#include "families.hpp"

PYBIND11_MODULE(_core_cuda, module) {
  module.doc() = "CUDA kernels of geodet on device arrays; use geodet.ops instead.";
  module.attr("runtime_version") = CUDART_VERSION;
  geodet::bindings::bind_bit_components(module);
  geodet::bindings::bind_keypoints(module);
  geodet::bindings::bind_matching(module);
  geodet::bindings::bind_box_gradients(module);
  geodet::bindings::bind_box_overlap(module);
  geodet::bindings::bind_nms(module);
  geodet::bindings::bind_polygons(module);
  geodet::bindings::bind_rle(module);
  geodet::bindings::bind_paste(module);
  geodet::bindings::bind_roi_align(module);
  geodet::bindings::bind_rotated(module);
}
