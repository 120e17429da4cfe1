#include "geodet/roi_align.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

RoiAlignSizes sizes_of(const DeviceArray& map, const DeviceArray& rois, const DeviceArray& cells,
                       double spatial_scale, std::int64_t sampling_ratio, bool aligned) {
  rois.expect(1, 5);
  cells.expect(0, rois.size(0));
  cells.expect(1, map.size(1));
  return {map.size(0),   map.size(1),   map.size(2),   map.size(3),    rois.size(0),
          cells.size(2), cells.size(3), spatial_scale, sampling_ratio, aligned};
}

template <typename T>
void forward(const DeviceArray& features, const DeviceArray& rois, const DeviceArray& out,
             double spatial_scale, std::int64_t sampling_ratio, bool aligned, void* stream) {
  const T* features_data = features.data<const T>(4);
  const T* rois_data = rois.data<const T>(2);
  T* out_data = out.data<T>(4);
  raise_unless_ok(cuda::roi_align(
      features_data, rois_data,
      sizes_of(features, rois, out, spatial_scale, sampling_ratio, aligned), out_data, stream));
}

template <typename T>
void backward(const DeviceArray& grad_out, const DeviceArray& rois,
              const DeviceArray& grad_features, double spatial_scale, std::int64_t sampling_ratio,
              bool aligned, void* stream) {
  const T* grad_data = grad_out.data<const T>(4);
  const T* rois_data = rois.data<const T>(2);
  T* features_data = grad_features.data<T>(4);
  raise_unless_ok(cuda::roi_align_backward(
      grad_data, rois_data,
      sizes_of(grad_features, rois, grad_out, spatial_scale, sampling_ratio, aligned),
      features_data, stream));
}

void forward_any(const py::object& features, const py::object& rois, const py::object& out,
                 double spatial_scale, std::int64_t sampling_ratio, bool aligned,
                 std::uintptr_t stream) {
  const DeviceArray features_array(features, "features");
  const DeviceArray rois_array(rois, "rois");
  const DeviceArray out_array(out, "out");
  const auto run = features_array.holds("<f8") ? &forward<double> : &forward<float>;
  run(features_array, rois_array, out_array, spatial_scale, sampling_ratio, aligned,
      reinterpret_cast<void*>(stream));
}

void backward_any(const py::object& grad_out, const py::object& rois,
                  const py::object& grad_features, double spatial_scale,
                  std::int64_t sampling_ratio, bool aligned, std::uintptr_t stream) {
  const DeviceArray grad_array(grad_out, "grad_out");
  const DeviceArray rois_array(rois, "rois");
  const DeviceArray features_array(grad_features, "grad_features");
  const auto run = grad_array.holds("<f8") ? &backward<double> : &backward<float>;
  run(grad_array, rois_array, features_array, spatial_scale, sampling_ratio, aligned,
      reinterpret_cast<void*>(stream));
}

}  // namespace

void bind_roi_align(py::module_& module) {
  module.def("roi_align", &forward_any, py::arg("features"), py::arg("rois"), py::arg("out"),
             py::arg("spatial_scale"), py::arg("sampling_ratio"), py::arg("aligned"),
             py::arg("stream"));
  module.def("roi_align_backward", &backward_any, py::arg("grad_out"), py::arg("rois"),
             py::arg("grad_features"), py::arg("spatial_scale"), py::arg("sampling_ratio"),
             py::arg("aligned"), py::arg("stream"));
}

}  // namespace geodet::bindings
