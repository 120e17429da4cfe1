#include "geodet/paste.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

// Columns of upright or rotated boxes, one row for each mask.
std::int64_t box_columns(const DeviceArray& probabilities, const DeviceArray& boxes) {
  boxes.expect(0, probabilities.size(0));
  if (boxes.size(1) != kRotatedColumns) boxes.expect(1, kUprightColumns);
  return boxes.size(1);
}

template <typename T, typename Out>
void paste(const DeviceArray& probabilities, const DeviceArray& boxes, const DeviceArray& out,
           double threshold, void* stream) {
  const T* values = probabilities.data<const T>(3);
  const T* boxes_data = boxes.data<const T>(2);
  Out* out_data = out.data<Out>(3);
  out.expect(0, probabilities.size(0));
  const PasteSizes sizes{probabilities.size(0), probabilities.size(1), probabilities.size(2),
                         out.size(1), out.size(2), box_columns(probabilities, boxes)};
  if constexpr (std::is_same_v<Out, bool>) {
    raise_unless_ok(cuda::paste_masks(values, boxes_data, sizes, threshold, out_data, stream));
  } else {
    raise_unless_ok(cuda::paste_probabilities(values, boxes_data, sizes, out_data, stream));
  }
}

void paste_masks_any(const py::object& probabilities, const py::object& boxes,
                     const py::object& out, double threshold, std::uintptr_t stream) {
  const DeviceArray values(probabilities, "probabilities");
  const auto run = values.holds("<f8") ? &paste<double, bool> : &paste<float, bool>;
  run(values, DeviceArray(boxes, "boxes"), DeviceArray(out, "out"), threshold,
      reinterpret_cast<void*>(stream));
}

void paste_probabilities_any(const py::object& probabilities, const py::object& boxes,
                             const py::object& out, std::uintptr_t stream) {
  const DeviceArray values(probabilities, "probabilities");
  const auto run = values.holds("<f8") ? &paste<double, double> : &paste<float, float>;
  run(values, DeviceArray(boxes, "boxes"), DeviceArray(out, "out"), 1.0,
      reinterpret_cast<void*>(stream));
}

PasteSizes sizes_of(const DeviceArray& probabilities, const DeviceArray& boxes,
                    std::int64_t height, std::int64_t width) {
  return {probabilities.size(0), probabilities.size(1), probabilities.size(2), height, width,
          box_columns(probabilities, boxes)};
}

template <typename T>
void runs_count(const DeviceArray& probabilities, const DeviceArray& boxes, std::int64_t height,
                double threshold, const DeviceArray& changes, void* stream) {
  auto* changes_data = changes.data<std::int32_t>(2);
  const T* values = probabilities.data<const T>(3);
  const T* boxes_data = boxes.data<const T>(2);
  const PasteSizes sizes = sizes_of(probabilities, boxes, height, changes.size(1));
  changes.expect(0, sizes.masks);
  raise_unless_ok(
      cuda::paste_runs_count(values, boxes_data, sizes, threshold, changes_data, stream));
}

template <typename T>
void runs_fill(const DeviceArray& probabilities, const DeviceArray& boxes, std::int64_t height,
               double threshold, const DeviceArray& starts, const DeviceArray& positions,
               void* stream) {
  const auto* starts_data = starts.data<const std::int64_t>(2);
  const T* values = probabilities.data<const T>(3);
  const T* boxes_data = boxes.data<const T>(2);
  const PasteSizes sizes = sizes_of(probabilities, boxes, height, starts.size(1));
  starts.expect(0, sizes.masks);
  raise_unless_ok(cuda::paste_runs_fill(values, boxes_data, sizes, threshold, starts_data,
                                        positions.data<std::int64_t>(1), stream));
}

void runs_count_any(const py::object& probabilities, const py::object& boxes, std::int64_t height,
                    double threshold, const py::object& changes, std::uintptr_t stream) {
  const DeviceArray values(probabilities, "probabilities");
  const auto run = values.holds("<f8") ? &runs_count<double> : &runs_count<float>;
  run(values, DeviceArray(boxes, "boxes"), height, threshold, DeviceArray(changes, "changes"),
      reinterpret_cast<void*>(stream));
}

void runs_fill_any(const py::object& probabilities, const py::object& boxes, std::int64_t height,
                   double threshold, const py::object& starts, const py::object& positions,
                   std::uintptr_t stream) {
  const DeviceArray values(probabilities, "probabilities");
  const auto run = values.holds("<f8") ? &runs_fill<double> : &runs_fill<float>;
  run(values, DeviceArray(boxes, "boxes"), height, threshold, DeviceArray(starts, "starts"),
      DeviceArray(positions, "positions"), reinterpret_cast<void*>(stream));
}

}  // namespace

void bind_paste(py::module_& module) {
  module.def("paste_masks", &paste_masks_any, py::arg("probabilities"), py::arg("boxes"),
             py::arg("out"), py::arg("threshold"), py::arg("stream"));
  module.def("paste_probabilities", &paste_probabilities_any, py::arg("probabilities"),
             py::arg("boxes"), py::arg("out"), py::arg("stream"));
  module.def("paste_runs_count", &runs_count_any, py::arg("probabilities"), py::arg("boxes"),
             py::arg("height"), py::arg("threshold"), py::arg("changes"), py::arg("stream"));
  module.def("paste_runs_fill", &runs_fill_any, py::arg("probabilities"), py::arg("boxes"),
             py::arg("height"), py::arg("threshold"), py::arg("starts"), py::arg("positions"),
             py::arg("stream"));
}

}  // namespace geodet::bindings
