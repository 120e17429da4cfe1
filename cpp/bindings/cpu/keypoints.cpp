#include "geodet/keypoints.hpp"

#include "arrays.hpp"
#include "families.hpp"

namespace geodet::bindings {
namespace {

void similarity(const py::array& predictions, const py::array& targets, const py::array& areas,
                const py::array& boxes, const py::array& sigmas, py::array& out,
                int num_threads) {
  const SimilarityInput input{read<double>(predictions, 3, "predictions"),
                              read<double>(targets, 3, "targets"), read<double>(areas, 1, "areas"),
                              read<double>(boxes, 2, "boxes"), read<double>(sigmas, 1, "sigmas")};
  double* out_data = write<double>(out, 2, "out");
  const SimilaritySizes sizes{predictions.shape(0), targets.shape(0), sigmas.shape(0)};
  for (const auto* points : {&predictions, &targets}) {
    size(*points, 1, sizes.points, "predictions, targets");
    size(*points, 2, 3, "predictions, targets");
  }
  size(areas, 0, sizes.targets, "areas");
  size(boxes, 0, sizes.targets, "boxes");
  size(boxes, 1, 4, "boxes");
  size(out, 0, sizes.predictions, "out");
  size(out, 1, sizes.targets, "out");
  Status status;
  {
    py::gil_scoped_release release;
    status = object_keypoint_similarity(input, sizes, out_data, num_threads);
  }
  raise_unless_ok(status);
}

template <typename T>
void decode(const py::array& heatmaps, const py::array& boxes, py::array& out, int num_threads) {
  const T* maps = read<T>(heatmaps, 4, "heatmaps");
  const T* boxes_data = read<T>(boxes, 2, "boxes");
  T* out_data = write<T>(out, 3, "out");
  const HeatmapSizes sizes{heatmaps.shape(0), heatmaps.shape(1), heatmaps.shape(2)};
  size(heatmaps, 3, sizes.side, "heatmaps");
  size(boxes, 0, sizes.rois, "boxes");
  size(boxes, 1, 4, "boxes");
  size(out, 0, sizes.rois, "out");
  size(out, 1, sizes.points, "out");
  size(out, 2, 4, "out");
  Status status;
  {
    py::gil_scoped_release release;
    status = decode_heatmaps(maps, boxes_data, sizes, out_data, num_threads);
  }
  raise_unless_ok(status);
}

void decode_any(const py::array& heatmaps, const py::array& boxes, py::array& out,
                int num_threads) {
  if (heatmaps.dtype().equal(py::dtype::of<double>())) {
    decode<double>(heatmaps, boxes, out, num_threads);
  } else {
    decode<float>(heatmaps, boxes, out, num_threads);
  }
}

}  // namespace

void bind_keypoints(py::module_& module) {
  module.def("object_keypoint_similarity", &similarity, py::arg("predictions"),
             py::arg("targets"), py::arg("areas"), py::arg("boxes"), py::arg("sigmas"),
             py::arg("out"), py::arg("num_threads"));
  module.def("decode_heatmaps", &decode_any, py::arg("heatmaps"), py::arg("boxes"), py::arg("out"),
             py::arg("num_threads"));
}

}  // namespace geodet::bindings
