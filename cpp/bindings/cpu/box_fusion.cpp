#include "geodet/box_fusion.hpp"

#include <vector>

#include "arrays.hpp"
#include "families.hpp"
#include "memory.hpp"

namespace geodet::bindings {
namespace {

// Fused boxes [k, 4], their scores and labels.
py::tuple fuse(const py::array& boxes, const py::array& scores, const py::array& labels,
               const py::array& order, double iou_threshold, int score, std::int64_t models,
               double sum_of_weights, double largest_weight) {
  const auto* boxes_data = read<double>(boxes, 2, "boxes");
  const std::int64_t n = boxes.shape(0);
  size(boxes, 1, 4, "boxes");
  const auto* scores_data = read<double>(scores, 1, "scores");
  size(scores, 0, n, "scores");
  const auto* labels_data = read<std::int64_t>(labels, 1, "labels");
  size(labels, 0, n, "labels");
  const auto* order_data = read<std::int64_t>(order, 1, "order");
  size(order, 0, n, "order");
  if (score < 0 || score > 2) throw py::value_error("score: expected 0, 1 or 2");
  const FusionSettings settings{iou_threshold, static_cast<FusedScore>(score), models,
                                sum_of_weights, largest_weight};
  const auto scratch = memory_of(box_fusion_scratch_bytes(n));
  std::vector<double> fused_boxes(static_cast<std::size_t>(4 * n));
  std::vector<double> fused_scores(static_cast<std::size_t>(n));
  std::vector<std::int64_t> fused_labels(static_cast<std::size_t>(n));
  std::int64_t count = 0;
  Status status;
  {
    py::gil_scoped_release release;
    status = fuse_boxes(boxes_data, scores_data, labels_data, n, order_data, settings,
                        scratch.get(), fused_boxes.data(), fused_scores.data(),
                        fused_labels.data(), &count);
  }
  raise_unless_ok(status);
  return py::make_tuple(
      py::array_t<double>(std::vector<std::int64_t>{count, 4}, fused_boxes.data()),
      py::array_t<double>(count, fused_scores.data()),
      py::array_t<std::int64_t>(count, fused_labels.data()));
}

}  // namespace

void bind_box_fusion(py::module_& module) {
  module.def("fuse_boxes", &fuse, py::arg("boxes"), py::arg("scores"), py::arg("labels"),
             py::arg("order"), py::arg("iou_threshold"), py::arg("score"), py::arg("models"),
             py::arg("sum_of_weights"), py::arg("largest_weight"));
}

}  // namespace geodet::bindings
