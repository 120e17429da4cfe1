#include "arrays.hpp"
#include "families.hpp"
#include "geodet/box_overlap.hpp"

namespace geodet::bindings {
namespace {

// Checked pointers to the arguments of either function; grad has rank 2 for pairs.
template <typename T>
struct Arguments {
  const T* a;
  const T* b;
  const T* grad;
  T* grad_a;
  T* grad_b;
  std::int64_t n;
  std::int64_t m;

  Arguments(const py::array& a_array, const py::array& b_array, const py::array& grad_array,
            py::array& grad_a_array, py::array& grad_b_array, int rank)
      : a(read<T>(a_array, 2, "a")),
        b(read<T>(b_array, 2, "b")),
        grad(read<T>(grad_array, rank, "grad")),
        grad_a(write<T>(grad_a_array, 2, "grad_a")),
        grad_b(write<T>(grad_b_array, 2, "grad_b")),
        n(a_array.shape(0)),
        m(b_array.shape(0)) {
    size(a_array, 1, 4, "a");
    size(b_array, 1, 4, "b");
    size(grad_array, 0, n, "grad");
    size(rank == 2 ? grad_array : b_array, rank == 2 ? 1 : 0, rank == 2 ? m : n,
         rank == 2 ? "grad" : "b");
    size(grad_a_array, 0, n, "grad_a");
    size(grad_a_array, 1, 4, "grad_a");
    size(grad_b_array, 0, m, "grad_b");
    size(grad_b_array, 1, 4, "grad_b");
  }
};

template <typename T>
void pairwise(const Arguments<T>& given, BoxMeasure measure) {
  Status status;
  {
    py::gil_scoped_release release;
    status = pairwise_box_gradients(measure, given.a, given.n, given.b, given.m, given.grad,
                                    given.grad_a, given.grad_b);
  }
  raise_unless_ok(status);
}

template <typename T>
void matched(const Arguments<T>& given, BoxMeasure measure) {
  Status status;
  {
    py::gil_scoped_release release;
    status = matched_box_gradients(measure, given.a, given.b, given.n, given.grad, given.grad_a,
                                   given.grad_b);
  }
  raise_unless_ok(status);
}

bool is_double(const py::array& array) { return array.dtype().equal(py::dtype::of<double>()); }

void pairwise_any(const py::array& a, const py::array& b, int measure, const py::array& grad,
                  py::array& grad_a, py::array& grad_b) {
  const auto kind = static_cast<BoxMeasure>(measure);
  is_double(a) ? pairwise(Arguments<double>(a, b, grad, grad_a, grad_b, 2), kind)
               : pairwise(Arguments<float>(a, b, grad, grad_a, grad_b, 2), kind);
}

void matched_any(const py::array& a, const py::array& b, int measure, const py::array& grad,
                 py::array& grad_a, py::array& grad_b) {
  const auto kind = static_cast<BoxMeasure>(measure);
  is_double(a) ? matched(Arguments<double>(a, b, grad, grad_a, grad_b, 1), kind)
               : matched(Arguments<float>(a, b, grad, grad_a, grad_b, 1), kind);
}

}  // namespace

void bind_box_gradients(py::module_& module) {
  module.def("pairwise_box_gradients", &pairwise_any, py::arg("a"), py::arg("b"),
             py::arg("measure"), py::arg("grad"), py::arg("grad_a"), py::arg("grad_b"));
  module.def("matched_box_gradients", &matched_any, py::arg("a"), py::arg("b"),
             py::arg("measure"), py::arg("grad"), py::arg("grad_a"), py::arg("grad_b"));
}

}  // namespace geodet::bindings
