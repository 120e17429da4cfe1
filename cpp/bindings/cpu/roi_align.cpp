#include "geodet/roi_align.hpp"

#include "arrays.hpp"
#include "families.hpp"
#include "geodet/roi_align_rotated.hpp"
#include "memory.hpp"

namespace geodet::bindings {
namespace {

// What a call asks for beside its arrays.
struct Settings {
  double spatial_scale;
  std::int64_t sampling_ratio;
  bool aligned, channels_last;
  int num_threads;
};

// Sizes of a call, from the map [b, c, h, w] (channels last: [b, h, w, c]), the rois and the cells
// [r, c, oh, ow].
RoiAlignSizes sizes_of(const py::array& map, const py::array& rois, const py::array& cells,
                       const Settings& settings) {
  const int channels = settings.channels_last ? 3 : 1;
  const int height = settings.channels_last ? 1 : 2;
  size(cells, 0, rois.shape(0), "cells");
  size(cells, 1, map.shape(channels), "cells");
  return {map.shape(0),
          map.shape(channels),
          map.shape(height),
          map.shape(height + 1),
          rois.shape(0),
          cells.shape(2),
          cells.shape(3),
          settings.spatial_scale,
          settings.sampling_ratio,
          settings.aligned,
          settings.channels_last};
}

// Rois with an angle are rotated.
bool is_rotated(const py::array& rois) {
  if (rois.shape(1) != 6) size(rois, 1, 5, "rois");
  return rois.shape(1) == 6;
}

template <typename T>
std::int64_t scratch_bytes(const T* rois, bool rotated, const RoiAlignSizes& sizes, int threads) {
  if (rotated) return roi_align_rotated_scratch_bytes(rois, sizes, threads);
  if (sizes.channels_last) return roi_align_channels_last_scratch_bytes(rois, sizes, threads);
  return roi_align_scratch_bytes(sizes, static_cast<std::int64_t>(sizeof(T)));
}

// From one side, map or cells, to the other.
template <typename T>
using Kernel = Status (*)(const T*, const T*, const RoiAlignSizes&, void*, T*, int) noexcept;

template <typename T>
Kernel<T> forward_kernel(bool rotated, bool channels_last) {
  if (rotated) return static_cast<Kernel<T>>(&roi_align_rotated);
  if (channels_last) return static_cast<Kernel<T>>(&roi_align_channels_last);
  return static_cast<Kernel<T>>(&roi_align);
}

template <typename T>
Kernel<T> backward_kernel(bool rotated, bool channels_last) {
  if (rotated) return static_cast<Kernel<T>>(&roi_align_rotated_backward);
  if (channels_last) return static_cast<Kernel<T>>(&roi_align_channels_last_backward);
  return static_cast<Kernel<T>>(&roi_align_backward);
}

template <typename T>
void run(bool forward, const py::array& source, const py::array& rois, py::array& target,
         const Settings& settings) {
  const T* source_data = read<T>(source, 4, forward ? "features" : "grad_out");
  const T* rois_data = read<T>(rois, 2, "rois");
  T* target_data = write<T>(target, 4, forward ? "out" : "grad_features");
  const bool rotated = is_rotated(rois);
  const RoiAlignSizes sizes = forward ? sizes_of(source, rois, target, settings)
                                      : sizes_of(target, rois, source, settings);
  const Kernel<T> kernel = forward ? forward_kernel<T>(rotated, settings.channels_last)
                                   : backward_kernel<T>(rotated, settings.channels_last);
  Status status;
  {
    py::gil_scoped_release release;
    const std::int64_t bytes = scratch_bytes(rois_data, rotated, sizes, settings.num_threads);
    // Uninitialised: a kernel touches only what it needs of a worst-case size.
    const auto scratch = memory_of(bytes < 0 ? 0 : bytes);
    status = kernel(source_data, rois_data, sizes, scratch.get(), target_data,
                    settings.num_threads);
  }
  raise_unless_ok(status);
}

template <bool kForward>
void run_any(const py::array& source, const py::array& rois, py::array& target,
             double spatial_scale, std::int64_t sampling_ratio, bool aligned, bool channels_last,
             int num_threads) {
  const Settings settings{spatial_scale, sampling_ratio, aligned, channels_last, num_threads};
  if (source.dtype().equal(py::dtype::of<double>())) {
    run<double>(kForward, source, rois, target, settings);
  } else {
    run<float>(kForward, source, rois, target, settings);
  }
}

}  // namespace

void bind_roi_align(py::module_& module) {
  module.def("roi_align", &run_any<true>, py::arg("features"), py::arg("rois"), py::arg("out"),
             py::arg("spatial_scale"), py::arg("sampling_ratio"), py::arg("aligned"),
             py::arg("channels_last"), py::arg("num_threads"));
  module.def("roi_align_backward", &run_any<false>, py::arg("grad_out"), py::arg("rois"),
             py::arg("grad_features"), py::arg("spatial_scale"), py::arg("sampling_ratio"),
             py::arg("aligned"), py::arg("channels_last"), py::arg("num_threads"));
}

}  // namespace geodet::bindings
