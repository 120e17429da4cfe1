#include "geodet/soft_nms.hpp"

#include <pybind11/stl.h>

#include <optional>
#include <utility>

#include "arrays.hpp"
#include "families.hpp"
#include "memory.hpp"

namespace geodet::bindings {
namespace {

template <typename T>
using KeptScores = std::pair<py::array_t<std::int64_t>, py::array_t<T>>;

template <typename T>
KeptScores<T> suppress(const py::array& boxes, const py::array& scores,
                       const std::optional<py::array>& groups, const SoftNmsSettings& settings) {
  const T* boxes_data = read<T>(boxes, 2, "boxes");
  size(boxes, 1, 4, "boxes");
  const std::int64_t n = boxes.shape(0);
  const T* scores_data = read<T>(scores, 1, "scores");
  size(scores, 0, n, "scores");
  const std::int64_t* groups_data = nullptr;
  if (groups.has_value()) {
    groups_data = read<std::int64_t>(*groups, 1, "groups");
    size(*groups, 0, n, "groups");
  }
  const auto element_size = static_cast<std::int64_t>(sizeof(T));
  const auto scratch = memory_of(soft_nms_scratch_bytes(n, element_size));
  const auto kept = memory_of(8 * n);
  const auto decayed = memory_of(element_size * n);
  T* decayed_data = reinterpret_cast<T*>(decayed.get());
  std::int64_t num_kept = 0;
  Status status;
  {
    py::gil_scoped_release release;
    status = soft_nms(boxes_data, scores_data, n, groups_data, settings, scratch.get(),
                      decayed_data, kept.get(), &num_kept);
  }
  raise_unless_ok(status);
  py::array_t<T> kept_scores(num_kept);
  for (std::int64_t k = 0; k < num_kept; ++k) {
    kept_scores.mutable_data()[k] = decayed_data[kept[static_cast<std::size_t>(k)]];
  }
  return {py::array_t<std::int64_t>(num_kept, kept.get()), std::move(kept_scores)};
}

// The kept indices and their decayed scores.
py::object soft_nms_any(const py::array& boxes, const py::array& scores,
                        const std::optional<py::array>& groups, double iou_threshold,
                        double sigma, double min_score, bool gaussian) {
  const SoftNmsSettings settings{gaussian, iou_threshold, sigma, min_score};
  if (boxes.dtype().equal(py::dtype::of<double>())) {
    return py::cast(suppress<double>(boxes, scores, groups, settings));
  }
  return py::cast(suppress<float>(boxes, scores, groups, settings));
}

}  // namespace

void bind_soft_nms(py::module_& module) {
  module.def("soft_nms", &soft_nms_any, py::arg("boxes"), py::arg("scores"),
             py::arg("groups").none(true), py::arg("iou_threshold"), py::arg("sigma"),
             py::arg("min_score"), py::arg("gaussian"));
}

}  // namespace geodet::bindings
