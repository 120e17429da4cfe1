#include "geodet/nms.hpp"

#include <pybind11/stl.h>

#include <optional>

#include "arrays.hpp"
#include "families.hpp"
#include "memory.hpp"
#include "score_order.hpp"

namespace geodet::bindings {
namespace {

template <typename T>
py::array_t<std::int64_t> suppress(const py::array& boxes, const py::array& scores,
                                   const std::optional<py::array>& groups, double threshold) {
  const T* boxes_data = read<T>(boxes, 2, "boxes");
  size(boxes, 1, 4, "boxes");
  const std::int64_t n = boxes.shape(0);
  const std::int64_t* groups_data = nullptr;
  if (groups.has_value()) {
    groups_data = read<std::int64_t>(*groups, 1, "groups");
    size(*groups, 0, n, "groups");
  }
  const auto order = score_order(scores, n);
  const auto scratch = memory_of(nms_scratch_bytes(n, static_cast<std::int64_t>(sizeof(T))));
  const auto kept = memory_of(n * 8);
  std::int64_t num_kept = 0;
  Status status;
  {
    py::gil_scoped_release release;
    status = nms(boxes_data, n, order.get(), groups_data, threshold, scratch.get(), kept.get(),
                 &num_kept);
  }
  raise_unless_ok(status);
  return py::array_t<std::int64_t>(num_kept, kept.get());
}

// The kept indices.
py::array_t<std::int64_t> nms_any(const py::array& boxes, const py::array& scores,
                                  const std::optional<py::array>& groups, double threshold) {
  if (boxes.dtype().equal(py::dtype::of<double>())) {
    return suppress<double>(boxes, scores, groups, threshold);
  }
  return suppress<float>(boxes, scores, groups, threshold);
}

}  // namespace

void bind_nms(py::module_& module) {
  module.def("nms", &nms_any, py::arg("boxes"), py::arg("scores"), py::arg("groups").none(true),
             py::arg("threshold"));
}

}  // namespace geodet::bindings
