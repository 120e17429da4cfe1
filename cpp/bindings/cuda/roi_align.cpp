#include "geodet/roi_align.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "geodet/roi_align_rotated.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

// Sizes of a call, from the map [b, c, h, w], the rois and the cells [r, c, oh, ow].
RoiAlignSizes sizes_of(const DeviceArray& map, const DeviceArray& rois, const DeviceArray& cells,
                       double spatial_scale, std::int64_t sampling_ratio, bool aligned) {
  cells.expect(0, rois.size(0));
  cells.expect(1, map.size(1));
  return {map.size(0),   map.size(1),   map.size(2),   map.size(3),    rois.size(0),
          cells.size(2), cells.size(3), spatial_scale, sampling_ratio, aligned};
}

// From one side, map or cells, to the other.
template <typename T>
using Kernel = Status (*)(const T*, const T*, const RoiAlignSizes&, T*, void*) noexcept;

template <typename T>
Kernel<T> kernel_for(bool forward, bool rotated) {
  if (forward) {
    return rotated ? static_cast<Kernel<T>>(&cuda::roi_align_rotated)
                   : static_cast<Kernel<T>>(&cuda::roi_align);
  }
  return rotated ? static_cast<Kernel<T>>(&cuda::roi_align_rotated_backward)
                 : static_cast<Kernel<T>>(&cuda::roi_align_backward);
}

template <typename T>
void run(bool forward, const DeviceArray& source, const DeviceArray& rois,
         const DeviceArray& target, const RoiAlignSizes& sizes, void* stream) {
  const bool rotated = rois.size(1) == 6;  // rois with an angle
  if (!rotated) rois.expect(1, 5);
  const Kernel<T> kernel = kernel_for<T>(forward, rotated);
  raise_unless_ok(kernel(source.data<const T>(4), rois.data<const T>(2), sizes, target.data<T>(4),
                         stream));
}

template <bool kForward>
void run_any(const py::object& source, const py::object& rois, const py::object& target,
             double spatial_scale, std::int64_t sampling_ratio, bool aligned,
             std::uintptr_t stream) {
  const DeviceArray source_array(source, kForward ? "features" : "grad_out");
  const DeviceArray rois_array(rois, "rois");
  const DeviceArray target_array(target, kForward ? "out" : "grad_features");
  const DeviceArray& map = kForward ? source_array : target_array;
  const DeviceArray& cells = kForward ? target_array : source_array;
  const auto run_typed = source_array.holds("<f8") ? &run<double> : &run<float>;
  run_typed(kForward, source_array, rois_array, target_array,
            sizes_of(map, rois_array, cells, spatial_scale, sampling_ratio, aligned),
            reinterpret_cast<void*>(stream));
}

}  // namespace

void bind_roi_align(py::module_& module) {
  module.def("roi_align", &run_any<true>, py::arg("features"), py::arg("rois"), py::arg("out"),
             py::arg("spatial_scale"), py::arg("sampling_ratio"), py::arg("aligned"),
             py::arg("stream"));
  module.def("roi_align_backward", &run_any<false>, py::arg("grad_out"), py::arg("rois"),
             py::arg("grad_features"), py::arg("spatial_scale"), py::arg("sampling_ratio"),
             py::arg("aligned"), py::arg("stream"));
}

}  // namespace geodet::bindings
