#include "geodet/box_overlap.hpp"

#include <vector>

#include "arrays.hpp"
#include "families.hpp"

namespace geodet::bindings {
namespace {

template <typename T>
void pairwise(const py::array& a, const py::array& b, int measure, py::array& out,
              int num_threads) {
  const T* a_data = read<T>(a, 2, "a");
  const T* b_data = read<T>(b, 2, "b");
  size(a, 1, 4, "a");
  size(b, 1, 4, "b");
  T* out_data = write<T>(out, 2, "out");
  const std::int64_t n = size(out, 0, a.shape(0), "out");
  const std::int64_t m = size(out, 1, b.shape(0), "out");
  std::vector<T> scratch(static_cast<std::size_t>(kBoxScratch * m));
  Status status;
  {
    py::gil_scoped_release release;
    status = pairwise_box_overlap(static_cast<BoxMeasure>(measure), a_data, n, b_data, m,
                                  scratch.data(), out_data, num_threads);
  }
  raise_unless_ok(status);
}

template <typename T>
void matched(const py::array& a, const py::array& b, int measure, py::array& out,
             int num_threads) {
  const T* a_data = read<T>(a, 2, "a");
  const T* b_data = read<T>(b, 2, "b");
  size(a, 1, 4, "a");
  size(b, 1, 4, "b");
  T* out_data = write<T>(out, 1, "out");
  const std::int64_t n = size(out, 0, a.shape(0), "out");
  size(b, 0, n, "b");
  Status status;
  {
    py::gil_scoped_release release;
    status = matched_box_overlap(static_cast<BoxMeasure>(measure), a_data, b_data, n, out_data,
                                 num_threads);
  }
  raise_unless_ok(status);
}

bool is_double(const py::array& array) { return array.dtype().equal(py::dtype::of<double>()); }

void pairwise_any(const py::array& a, const py::array& b, int measure, py::array& out,
                  int num_threads) {
  is_double(a) ? pairwise<double>(a, b, measure, out, num_threads)
               : pairwise<float>(a, b, measure, out, num_threads);
}

void matched_any(const py::array& a, const py::array& b, int measure, py::array& out,
                 int num_threads) {
  is_double(a) ? matched<double>(a, b, measure, out, num_threads)
               : matched<float>(a, b, measure, out, num_threads);
}

}  // namespace

void bind_box_overlap(py::module_& module) {
  module.def("pairwise_box_overlap", &pairwise_any, py::arg("a"), py::arg("b"),
             py::arg("measure"), py::arg("out"), py::arg("num_threads"));
  module.def("matched_box_overlap", &matched_any, py::arg("a"), py::arg("b"), py::arg("measure"),
             py::arg("out"), py::arg("num_threads"));
}

}  // namespace geodet::bindings
