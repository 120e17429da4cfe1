#include "geodet/boxes.hpp"

#include <vector>

#include "arrays.hpp"
#include "families.hpp"

namespace geodet::bindings {
namespace {

template <typename T>
void iou(const py::array& a, const py::array& b, py::array& out, int num_threads) {
  const T* a_data = read<T>(a, 2, "a");
  const T* b_data = read<T>(b, 2, "b");
  size(a, 1, 4, "a");
  size(b, 1, 4, "b");
  T* out_data = write<T>(out, 2, "out");
  const std::int64_t n = size(out, 0, a.shape(0), "out");
  const std::int64_t m = size(out, 1, b.shape(0), "out");
  std::vector<T> scratch(static_cast<std::size_t>(5 * m));
  Status status;
  {
    py::gil_scoped_release release;
    status = pairwise_box_iou(a_data, n, b_data, m, scratch.data(), out_data, num_threads);
  }
  raise_unless_ok(status);
}

void pairwise_box_iou_any(const py::array& a, const py::array& b, py::array& out,
                          int num_threads) {
  if (a.dtype().equal(py::dtype::of<double>())) {
    iou<double>(a, b, out, num_threads);
  } else {
    iou<float>(a, b, out, num_threads);
  }
}

}  // namespace

void bind_boxes(py::module_& module) {
  module.def("pairwise_box_iou", &pairwise_box_iou_any, py::arg("a"), py::arg("b"),
             py::arg("out"), py::arg("num_threads"));
}

}  // namespace geodet::bindings
