#include "cuda_arrays.hpp"
#include "families.hpp"
#include "geodet/rotated_iou.hpp"
#include "rotated_quantity.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

template <typename T>
const T* boxes_data(const DeviceArray& boxes) {
  boxes.expect(1, 5);
  return boxes.data<const T>(2);
}

template <typename T>
void pairwise(const DeviceArray& a, const DeviceArray& b, RotatedOverlap quantity,
              const DeviceArray& out, void* stream) {
  const T* a_data = boxes_data<T>(a);
  const T* b_data = boxes_data<T>(b);
  T* out_data = out.data<T>(2);
  const std::int64_t n = out.expect(0, a.size(0));
  const std::int64_t m = out.expect(1, b.size(0));
  raise_unless_ok(
      cuda::pairwise_rotated_overlap(a_data, n, b_data, m, quantity, out_data, stream));
}

template <typename T>
void matched(const DeviceArray& a, const DeviceArray& b, RotatedOverlap quantity,
             const DeviceArray& out, void* stream) {
  const T* a_data = boxes_data<T>(a);
  const T* b_data = boxes_data<T>(b);
  T* out_data = out.data<T>(1);
  const std::int64_t n = out.expect(0, a.size(0));
  b.expect(0, n);
  raise_unless_ok(cuda::matched_rotated_overlap(a_data, b_data, n, quantity, out_data, stream));
}

template <typename T>
void pairwise_backward(const DeviceArray& a, const DeviceArray& b, RotatedOverlap quantity,
                       const DeviceArray& grad, double limit, const DeviceArray& grad_a,
                       const DeviceArray& grad_b, void* stream) {
  const T* a_data = boxes_data<T>(a);
  const T* b_data = boxes_data<T>(b);
  const T* grad_data = grad.data<const T>(2);
  const std::int64_t n = grad.expect(0, a.size(0));
  const std::int64_t m = grad.expect(1, b.size(0));
  grad_a.expect(0, n);
  grad_a.expect(1, 5);
  grad_b.expect(0, m);
  grad_b.expect(1, 5);
  raise_unless_ok(cuda::pairwise_rotated_overlap_backward(a_data, n, b_data, m, quantity,
                                                          grad_data, limit, grad_a.data<T>(2),
                                                          grad_b.data<T>(2), stream));
}

template <typename T>
void matched_backward(const DeviceArray& a, const DeviceArray& b, RotatedOverlap quantity,
                      const DeviceArray& grad, double limit, const DeviceArray& grad_a,
                      const DeviceArray& grad_b, void* stream) {
  const T* a_data = boxes_data<T>(a);
  const T* b_data = boxes_data<T>(b);
  const T* grad_data = grad.data<const T>(1);
  const std::int64_t n = grad.expect(0, a.size(0));
  b.expect(0, n);
  grad_a.expect(0, n);
  grad_a.expect(1, 5);
  grad_b.expect(0, n);
  grad_b.expect(1, 5);
  raise_unless_ok(cuda::matched_rotated_overlap_backward(a_data, b_data, n, quantity, grad_data,
                                                         limit, grad_a.data<T>(2),
                                                         grad_b.data<T>(2), stream));
}

template <typename T>
void clip(const DeviceArray& boxes, const DeviceArray& windows, const DeviceArray& points,
          const DeviceArray& counts, void* stream) {
  const T* data = boxes_data<T>(boxes);
  const std::int64_t n = counts.expect(0, boxes.size(0));
  windows.expect(0, n);
  windows.expect(1, 4);
  T* points_data = points.data<T>(3);
  points.expect(0, n);
  points.expect(1, 8);
  points.expect(2, 2);
  raise_unless_ok(cuda::clip_rotated_boxes(data, windows.data<const T>(2), n, points_data,
                                           counts.data<std::int64_t>(1), stream));
}

void* as_pointer(std::uintptr_t stream) { return reinterpret_cast<void*>(stream); }

void pairwise_any(const py::object& a, const py::object& b, int quantity, const py::object& out,
                  std::uintptr_t stream) {
  const DeviceArray a_array(a, "a");
  const DeviceArray b_array(b, "b");
  const DeviceArray out_array(out, "out");
  (a_array.holds("<f8") ? pairwise<double> : pairwise<float>)(
      a_array, b_array, rotated_quantity(quantity), out_array, as_pointer(stream));
}

void matched_any(const py::object& a, const py::object& b, int quantity, const py::object& out,
                 std::uintptr_t stream) {
  const DeviceArray a_array(a, "a");
  const DeviceArray b_array(b, "b");
  const DeviceArray out_array(out, "out");
  (a_array.holds("<f8") ? matched<double> : matched<float>)(
      a_array, b_array, rotated_quantity(quantity), out_array, as_pointer(stream));
}

void pairwise_backward_any(const py::object& a, const py::object& b, int quantity,
                           const py::object& grad, double limit, const py::object& grad_a,
                           const py::object& grad_b, std::uintptr_t stream) {
  const DeviceArray a_array(a, "a");
  const DeviceArray b_array(b, "b");
  const DeviceArray grad_array(grad, "grad");
  const DeviceArray grad_a_array(grad_a, "grad_a");
  const DeviceArray grad_b_array(grad_b, "grad_b");
  (a_array.holds("<f8") ? pairwise_backward<double> : pairwise_backward<float>)(
      a_array, b_array, rotated_quantity(quantity), grad_array, limit, grad_a_array, grad_b_array,
      as_pointer(stream));
}

void matched_backward_any(const py::object& a, const py::object& b, int quantity,
                          const py::object& grad, double limit, const py::object& grad_a,
                          const py::object& grad_b, std::uintptr_t stream) {
  const DeviceArray a_array(a, "a");
  const DeviceArray b_array(b, "b");
  const DeviceArray grad_array(grad, "grad");
  const DeviceArray grad_a_array(grad_a, "grad_a");
  const DeviceArray grad_b_array(grad_b, "grad_b");
  (a_array.holds("<f8") ? matched_backward<double> : matched_backward<float>)(
      a_array, b_array, rotated_quantity(quantity), grad_array, limit, grad_a_array, grad_b_array,
      as_pointer(stream));
}

void clip_any(const py::object& boxes, const py::object& windows, const py::object& points,
              const py::object& counts, std::uintptr_t stream) {
  const DeviceArray boxes_array(boxes, "boxes");
  const DeviceArray windows_array(windows, "windows");
  const DeviceArray points_array(points, "points");
  const DeviceArray counts_array(counts, "counts");
  (boxes_array.holds("<f8") ? clip<double> : clip<float>)(boxes_array, windows_array, points_array,
                                                          counts_array, as_pointer(stream));
}

}  // namespace

void bind_rotated(py::module_& module) {
  module.def("pairwise_rotated_overlap", &pairwise_any, py::arg("a"), py::arg("b"),
             py::arg("quantity"), py::arg("out"), py::arg("stream"));
  module.def("matched_rotated_overlap", &matched_any, py::arg("a"), py::arg("b"),
             py::arg("quantity"), py::arg("out"), py::arg("stream"));
  module.def("pairwise_rotated_overlap_backward", &pairwise_backward_any, py::arg("a"),
             py::arg("b"), py::arg("quantity"), py::arg("grad"), py::arg("limit"),
             py::arg("grad_a"), py::arg("grad_b"), py::arg("stream"));
  module.def("matched_rotated_overlap_backward", &matched_backward_any, py::arg("a"), py::arg("b"),
             py::arg("quantity"), py::arg("grad"), py::arg("limit"), py::arg("grad_a"),
             py::arg("grad_b"), py::arg("stream"));
  module.def("clip_rotated_boxes", &clip_any, py::arg("boxes"), py::arg("windows"),
             py::arg("points"), py::arg("counts"), py::arg("stream"));
}

}  // namespace geodet::bindings
