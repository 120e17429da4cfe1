#include "geodet/boxes.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

template <typename T>
void iou(const DeviceArray& a, const DeviceArray& b, const DeviceArray& out,
         std::uintptr_t stream) {
  a.expect(1, 4);
  b.expect(1, 4);
  const std::int64_t n = out.expect(0, a.size(0));
  const std::int64_t m = out.expect(1, b.size(0));
  raise_unless_ok(cuda::pairwise_box_iou(a.data<const T>(2), n, b.data<const T>(2), m,
                                         out.data<T>(2), reinterpret_cast<void*>(stream)));
}

void pairwise_box_iou_any(const py::object& a, const py::object& b, const py::object& out,
                          std::uintptr_t stream) {
  const DeviceArray a_array(a, "a");
  const DeviceArray b_array(b, "b");
  const DeviceArray out_array(out, "out");
  if (a_array.holds("<f8")) {
    iou<double>(a_array, b_array, out_array, stream);
  } else {
    iou<float>(a_array, b_array, out_array, stream);
  }
}

}  // namespace

void bind_boxes(py::module_& module) {
  module.def("pairwise_box_iou", &pairwise_box_iou_any, py::arg("a"), py::arg("b"),
             py::arg("out"), py::arg("stream"));
}

}  // namespace geodet::bindings
