#include "geodet/nms.hpp"

#include <pybind11/stl.h>

#include <optional>

#include "arrays.hpp"
#include "families.hpp"
#include "geodet/rotated_nms.hpp"
#include "memory.hpp"
#include "score_order.hpp"

namespace geodet::bindings {
namespace {

// Upright boxes, four columns.
struct Upright {
  static constexpr std::int64_t kColumns = 4;
  static std::int64_t scratch_bytes(std::int64_t n, std::int64_t element_size) {
    return nms_scratch_bytes(n, element_size);
  }
  template <typename... Arguments>
  static Status run(Arguments... arguments) {
    return nms(arguments...);
  }
};

// Rotated boxes, five.
struct Rotated {
  static constexpr std::int64_t kColumns = 5;
  static std::int64_t scratch_bytes(std::int64_t n, std::int64_t) {
    return rotated_nms_scratch_bytes(n);
  }
  template <typename... Arguments>
  static Status run(Arguments... arguments) {
    return rotated_nms(arguments...);
  }
};

template <typename Kind, typename T>
py::array_t<std::int64_t> suppress(const py::array& boxes, const py::array& scores,
                                   const std::optional<py::array>& groups, double threshold) {
  const T* boxes_data = read<T>(boxes, 2, "boxes");
  size(boxes, 1, Kind::kColumns, "boxes");
  const std::int64_t n = boxes.shape(0);
  const std::int64_t* groups_data = nullptr;
  if (groups.has_value()) {
    groups_data = read<std::int64_t>(*groups, 1, "groups");
    size(*groups, 0, n, "groups");
  }
  const auto order = score_order(scores, n);
  const auto scratch =
      memory_of(Kind::scratch_bytes(n, static_cast<std::int64_t>(sizeof(T))));
  const auto kept = memory_of(n * 8);
  std::int64_t num_kept = 0;
  Status status;
  {
    py::gil_scoped_release release;
    status = Kind::run(boxes_data, n, static_cast<const std::int64_t*>(order.get()), groups_data,
                       threshold, static_cast<void*>(scratch.get()), kept.get(), &num_kept);
  }
  raise_unless_ok(status);
  return py::array_t<std::int64_t>(num_kept, kept.get());
}

// The kept indices.
template <typename Kind>
py::array_t<std::int64_t> suppress_any(const py::array& boxes, const py::array& scores,
                                       const std::optional<py::array>& groups, double threshold) {
  if (boxes.dtype().equal(py::dtype::of<double>())) {
    return suppress<Kind, double>(boxes, scores, groups, threshold);
  }
  return suppress<Kind, float>(boxes, scores, groups, threshold);
}

}  // namespace

void bind_nms(py::module_& module) {
  module.def("nms", &suppress_any<Upright>, py::arg("boxes"), py::arg("scores"),
             py::arg("groups").none(true), py::arg("threshold"));
  module.def("rotated_nms", &suppress_any<Rotated>, py::arg("boxes"), py::arg("scores"),
             py::arg("groups").none(true), py::arg("threshold"));
}

}  // namespace geodet::bindings
