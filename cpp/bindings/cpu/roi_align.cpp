#include "geodet/roi_align.hpp"

#include <memory>

#include "arrays.hpp"
#include "families.hpp"
#include "memory.hpp"

namespace geodet::bindings {
namespace {

// Sizes of a call, from the map side [b, c, h, w], the rois [r, 5] and the cell side [r, c, ., .].
RoiAlignSizes sizes_of(const py::array& map, const py::array& rois, const py::array& cells,
                       double spatial_scale, std::int64_t sampling_ratio, bool aligned) {
  size(rois, 1, 5, "rois");
  size(cells, 0, rois.shape(0), "cells");
  size(cells, 1, map.shape(1), "cells");
  return {map.shape(0),   map.shape(1),   map.shape(2),  map.shape(3),   rois.shape(0),
          cells.shape(2), cells.shape(3), spatial_scale, sampling_ratio, aligned};
}

// Uninitialised: the kernel touches only what it needs of a worst-case size.
std::unique_ptr<std::int64_t[]> scratch_for(const RoiAlignSizes& sizes, std::size_t element_size) {
  const std::int64_t bytes =
      roi_align_scratch_bytes(sizes, static_cast<std::int64_t>(element_size));
  if (bytes < 0) throw py::value_error("output size, spatial_scale or sampling_ratio: invalid");
  return memory_of(bytes);
}

template <typename T>
void forward(const py::array& features, const py::array& rois, py::array& out,
             double spatial_scale, std::int64_t sampling_ratio, bool aligned, int num_threads) {
  const T* features_data = read<T>(features, 4, "features");
  const T* rois_data = read<T>(rois, 2, "rois");
  T* out_data = write<T>(out, 4, "out");
  const RoiAlignSizes sizes =
      sizes_of(features, rois, out, spatial_scale, sampling_ratio, aligned);
  const auto scratch = scratch_for(sizes, sizeof(T));
  Status status;
  {
    py::gil_scoped_release release;
    status = roi_align(features_data, rois_data, sizes, scratch.get(), out_data, num_threads);
  }
  raise_unless_ok(status);
}

template <typename T>
void backward(const py::array& grad_out, const py::array& rois, py::array& grad_features,
              double spatial_scale, std::int64_t sampling_ratio, bool aligned, int num_threads) {
  const T* grad_data = read<T>(grad_out, 4, "grad_out");
  const T* rois_data = read<T>(rois, 2, "rois");
  T* features_data = write<T>(grad_features, 4, "grad_features");
  const RoiAlignSizes sizes =
      sizes_of(grad_features, rois, grad_out, spatial_scale, sampling_ratio, aligned);
  const auto scratch = scratch_for(sizes, sizeof(T));
  Status status;
  {
    py::gil_scoped_release release;
    status = roi_align_backward(grad_data, rois_data, sizes, scratch.get(), features_data,
                                num_threads);
  }
  raise_unless_ok(status);
}

void forward_any(const py::array& features, const py::array& rois, py::array& out,
                 double spatial_scale, std::int64_t sampling_ratio, bool aligned,
                 int num_threads) {
  if (features.dtype().equal(py::dtype::of<double>())) {
    forward<double>(features, rois, out, spatial_scale, sampling_ratio, aligned, num_threads);
  } else {
    forward<float>(features, rois, out, spatial_scale, sampling_ratio, aligned, num_threads);
  }
}

void backward_any(const py::array& grad_out, const py::array& rois, py::array& grad_features,
                  double spatial_scale, std::int64_t sampling_ratio, bool aligned,
                  int num_threads) {
  if (grad_out.dtype().equal(py::dtype::of<double>())) {
    backward<double>(grad_out, rois, grad_features, spatial_scale, sampling_ratio, aligned,
                     num_threads);
  } else {
    backward<float>(grad_out, rois, grad_features, spatial_scale, sampling_ratio, aligned,
                    num_threads);
  }
}

}  // namespace

void bind_roi_align(py::module_& module) {
  module.def("roi_align", &forward_any, py::arg("features"), py::arg("rois"), py::arg("out"),
             py::arg("spatial_scale"), py::arg("sampling_ratio"), py::arg("aligned"),
             py::arg("num_threads"));
  module.def("roi_align_backward", &backward_any, py::arg("grad_out"), py::arg("rois"),
             py::arg("grad_features"), py::arg("spatial_scale"), py::arg("sampling_ratio"),
             py::arg("aligned"), py::arg("num_threads"));
}

}  // namespace geodet::bindings
