#include "geodet/rotated_nms.hpp"

#include <pybind11/stl.h>

#include <optional>
#include <vector>

#include "arrays.hpp"
#include "families.hpp"

namespace geodet::bindings {
namespace {

template <typename T>
std::int64_t suppress(const py::array& boxes, const py::array& order,
                      const std::optional<py::array>& groups, double threshold, py::array& kept) {
  const T* boxes_data = read<T>(boxes, 2, "boxes");
  size(boxes, 1, 5, "boxes");
  const std::int64_t n = boxes.shape(0);
  const auto* order_data = read<std::int64_t>(order, 1, "order");
  size(order, 0, n, "order");
  const std::int64_t* groups_data = nullptr;
  if (groups.has_value()) {
    groups_data = read<std::int64_t>(*groups, 1, "groups");
    size(*groups, 0, n, "groups");
  }
  auto* kept_data = write<std::int64_t>(kept, 1, "kept");
  size(kept, 0, n, "kept");
  // The kernel takes 8-byte aligned scratch.
  const std::int64_t bytes = rotated_nms_scratch_bytes(n);
  std::vector<double> scratch(static_cast<std::size_t>(bytes / 8 + 1));
  std::int64_t num_kept = 0;
  Status status;
  {
    py::gil_scoped_release release;
    status = rotated_nms(boxes_data, n, order_data, groups_data, threshold, scratch.data(),
                         kept_data, &num_kept);
  }
  raise_unless_ok(status);
  return num_kept;
}

std::int64_t nms_any(const py::array& boxes, const py::array& order,
                     const std::optional<py::array>& groups, double threshold, py::array& kept) {
  if (boxes.dtype().equal(py::dtype::of<double>())) {
    return suppress<double>(boxes, order, groups, threshold, kept);
  }
  return suppress<float>(boxes, order, groups, threshold, kept);
}

}  // namespace

void bind_rotated_nms(py::module_& module) {
  module.def("rotated_nms", &nms_any, py::arg("boxes"), py::arg("order"),
             py::arg("groups").none(true), py::arg("threshold"), py::arg("kept"));
}

}  // namespace geodet::bindings
