#include <vector>

#include "arrays.hpp"
#include "families.hpp"
#include "geodet/rotated_iou.hpp"
#include "rotated_quantity.hpp"

namespace geodet::bindings {
namespace {

template <typename T>
const T* read_boxes(const py::array& boxes, const char* name) {
  const T* data = read<T>(boxes, 2, name);
  size(boxes, 1, 5, name);
  return data;
}

// The kernels take 8-byte aligned scratch.
std::vector<double> scratch_of(std::int64_t bytes) {
  return std::vector<double>(static_cast<std::size_t>(bytes / 8 + 1));
}

template <typename T>
void pairwise(const py::array& a, const py::array& b, int quantity, py::array& out,
              int num_threads) {
  const T* a_data = read_boxes<T>(a, "a");
  const T* b_data = read_boxes<T>(b, "b");
  T* out_data = write<T>(out, 2, "out");
  const std::int64_t n = size(out, 0, a.shape(0), "out");
  const std::int64_t m = size(out, 1, b.shape(0), "out");
  const RotatedOverlap overlap = rotated_quantity(quantity);
  std::vector<double> scratch = scratch_of(rotated_scratch_bytes(n, m));
  Status status;
  {
    py::gil_scoped_release release;
    status = pairwise_rotated_overlap(a_data, n, b_data, m, overlap, scratch.data(), out_data,
                                      num_threads);
  }
  raise_unless_ok(status);
}

template <typename T>
void matched(const py::array& a, const py::array& b, int quantity, py::array& out,
             int num_threads) {
  const T* a_data = read_boxes<T>(a, "a");
  const T* b_data = read_boxes<T>(b, "b");
  T* out_data = write<T>(out, 1, "out");
  const std::int64_t n = size(out, 0, a.shape(0), "out");
  size(b, 0, n, "b");
  const RotatedOverlap overlap = rotated_quantity(quantity);
  Status status;
  {
    py::gil_scoped_release release;
    status = matched_rotated_overlap(a_data, b_data, n, overlap, out_data, num_threads);
  }
  raise_unless_ok(status);
}

template <typename T>
void pairwise_backward(const py::array& a, const py::array& b, int quantity, const py::array& grad,
                       double limit, py::array& grad_a, py::array& grad_b, int num_threads) {
  const T* a_data = read_boxes<T>(a, "a");
  const T* b_data = read_boxes<T>(b, "b");
  const std::int64_t n = a.shape(0);
  const std::int64_t m = b.shape(0);
  const T* grad_data = read<T>(grad, 2, "grad");
  size(grad, 0, n, "grad");
  size(grad, 1, m, "grad");
  T* grad_a_data = write<T>(grad_a, 2, "grad_a");
  size(grad_a, 0, n, "grad_a");
  size(grad_a, 1, 5, "grad_a");
  T* grad_b_data = write<T>(grad_b, 2, "grad_b");
  size(grad_b, 0, m, "grad_b");
  size(grad_b, 1, 5, "grad_b");
  const RotatedOverlap overlap = rotated_quantity(quantity);
  std::vector<double> scratch = scratch_of(rotated_backward_scratch_bytes(n, m));
  Status status;
  {
    py::gil_scoped_release release;
    status =
        pairwise_rotated_overlap_backward(a_data, n, b_data, m, overlap, grad_data, limit,
                                          scratch.data(), grad_a_data, grad_b_data, num_threads);
  }
  raise_unless_ok(status);
}

template <typename T>
void matched_backward(const py::array& a, const py::array& b, int quantity, const py::array& grad,
                      double limit, py::array& grad_a, py::array& grad_b, int num_threads) {
  const T* a_data = read_boxes<T>(a, "a");
  const T* b_data = read_boxes<T>(b, "b");
  const std::int64_t n = size(b, 0, a.shape(0), "b");
  const T* grad_data = read<T>(grad, 1, "grad");
  size(grad, 0, n, "grad");
  T* grad_a_data = write<T>(grad_a, 2, "grad_a");
  size(grad_a, 0, n, "grad_a");
  size(grad_a, 1, 5, "grad_a");
  T* grad_b_data = write<T>(grad_b, 2, "grad_b");
  size(grad_b, 0, n, "grad_b");
  size(grad_b, 1, 5, "grad_b");
  const RotatedOverlap overlap = rotated_quantity(quantity);
  Status status;
  {
    py::gil_scoped_release release;
    status = matched_rotated_overlap_backward(a_data, b_data, n, overlap, grad_data, limit,
                                              grad_a_data, grad_b_data, num_threads);
  }
  raise_unless_ok(status);
}

template <typename T>
void clip(const py::array& boxes, const py::array& windows, py::array& points, py::array& counts) {
  const T* boxes_data = read_boxes<T>(boxes, "boxes");
  const std::int64_t n = boxes.shape(0);
  const T* windows_data = read<T>(windows, 2, "windows");
  size(windows, 0, n, "windows");
  size(windows, 1, 4, "windows");
  T* points_data = write<T>(points, 3, "points");
  size(points, 0, n, "points");
  size(points, 1, 8, "points");
  size(points, 2, 2, "points");
  auto* counts_data = write<std::int64_t>(counts, 1, "counts");
  size(counts, 0, n, "counts");
  Status status;
  {
    py::gil_scoped_release release;
    status = clip_rotated_boxes(boxes_data, windows_data, n, points_data, counts_data);
  }
  raise_unless_ok(status);
}

bool is_double(const py::array& array) { return array.dtype().equal(py::dtype::of<double>()); }

}  // namespace

void bind_rotated(py::module_& module) {
  module.def(
      "pairwise_rotated_overlap",
      [](const py::array& a, const py::array& b, int quantity, py::array& out, int num_threads) {
        (is_double(a) ? pairwise<double> : pairwise<float>)(a, b, quantity, out, num_threads);
      },
      py::arg("a"), py::arg("b"), py::arg("quantity"), py::arg("out"), py::arg("num_threads"));
  module.def(
      "matched_rotated_overlap",
      [](const py::array& a, const py::array& b, int quantity, py::array& out, int num_threads) {
        (is_double(a) ? matched<double> : matched<float>)(a, b, quantity, out, num_threads);
      },
      py::arg("a"), py::arg("b"), py::arg("quantity"), py::arg("out"), py::arg("num_threads"));
  module.def(
      "pairwise_rotated_overlap_backward",
      [](const py::array& a, const py::array& b, int quantity, const py::array& grad, double limit,
         py::array& grad_a, py::array& grad_b, int num_threads) {
        (is_double(a) ? pairwise_backward<double> : pairwise_backward<float>)(
            a, b, quantity, grad, limit, grad_a, grad_b, num_threads);
      },
      py::arg("a"), py::arg("b"), py::arg("quantity"), py::arg("grad"), py::arg("limit"),
      py::arg("grad_a"), py::arg("grad_b"), py::arg("num_threads"));
  module.def(
      "matched_rotated_overlap_backward",
      [](const py::array& a, const py::array& b, int quantity, const py::array& grad, double limit,
         py::array& grad_a, py::array& grad_b, int num_threads) {
        (is_double(a) ? matched_backward<double> : matched_backward<float>)(
            a, b, quantity, grad, limit, grad_a, grad_b, num_threads);
      },
      py::arg("a"), py::arg("b"), py::arg("quantity"), py::arg("grad"), py::arg("limit"),
      py::arg("grad_a"), py::arg("grad_b"), py::arg("num_threads"));
  module.def(
      "clip_rotated_boxes",
      [](const py::array& boxes, const py::array& windows, py::array& points, py::array& counts) {
        (is_double(boxes) ? clip<double> : clip<float>)(boxes, windows, points, counts);
      },
      py::arg("boxes"), py::arg("windows"), py::arg("points"), py::arg("counts"));
}

}  // namespace geodet::bindings
