#include "geodet/keypoints.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

void similarity(const py::object& predictions, const py::object& targets, const py::object& areas,
                const py::object& boxes, const py::object& sigmas, const py::object& out,
                std::uintptr_t stream) {
  const DeviceArray found(predictions, "predictions");
  const DeviceArray wanted(targets, "targets");
  const DeviceArray areas_array(areas, "areas");
  const DeviceArray boxes_array(boxes, "boxes");
  const DeviceArray sigmas_array(sigmas, "sigmas");
  const DeviceArray out_array(out, "out");
  const SimilarityInput input{found.data<const double>(3), wanted.data<const double>(3),
                              areas_array.data<const double>(1),
                              boxes_array.data<const double>(2),
                              sigmas_array.data<const double>(1)};
  double* out_data = out_array.data<double>(2);
  const SimilaritySizes sizes{found.size(0), wanted.size(0), sigmas_array.size(0)};
  for (const DeviceArray* points : {&found, &wanted}) {
    points->expect(1, sizes.points);
    points->expect(2, 3);
  }
  areas_array.expect(0, sizes.targets);
  boxes_array.expect(0, sizes.targets);
  boxes_array.expect(1, 4);
  out_array.expect(0, sizes.predictions);
  out_array.expect(1, sizes.targets);
  raise_unless_ok(cuda::object_keypoint_similarity(input, sizes, out_data,
                                                   reinterpret_cast<void*>(stream)));
}

template <typename T>
void decode(const DeviceArray& heatmaps, const DeviceArray& boxes, const DeviceArray& out,
            void* stream) {
  const T* maps = heatmaps.data<const T>(4);
  const T* boxes_data = boxes.data<const T>(2);
  T* out_data = out.data<T>(3);
  const HeatmapSizes sizes{heatmaps.size(0), heatmaps.size(1), heatmaps.size(2)};
  heatmaps.expect(3, sizes.side);
  boxes.expect(0, sizes.rois);
  boxes.expect(1, 4);
  out.expect(0, sizes.rois);
  out.expect(1, sizes.points);
  out.expect(2, 4);
  raise_unless_ok(cuda::decode_heatmaps(maps, boxes_data, sizes, out_data, stream));
}

void decode_any(const py::object& heatmaps, const py::object& boxes, const py::object& out,
                std::uintptr_t stream) {
  const DeviceArray maps(heatmaps, "heatmaps");
  const auto run = maps.holds("<f8") ? &decode<double> : &decode<float>;
  run(maps, DeviceArray(boxes, "boxes"), DeviceArray(out, "out"),
      reinterpret_cast<void*>(stream));
}

}  // namespace

void bind_keypoints(py::module_& module) {
  module.def("object_keypoint_similarity", &similarity, py::arg("predictions"),
             py::arg("targets"), py::arg("areas"), py::arg("boxes"), py::arg("sigmas"),
             py::arg("out"), py::arg("stream"));
  module.def("decode_heatmaps", &decode_any, py::arg("heatmaps"), py::arg("boxes"), py::arg("out"),
             py::arg("stream"));
}

}  // namespace geodet::bindings
