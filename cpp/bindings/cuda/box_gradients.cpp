#include "cuda_arrays.hpp"
#include "families.hpp"
#include "geodet/box_overlap.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

// The arguments of either function, checked; grad has rank 2 for pairs.
struct Arguments {
  DeviceArray a, b, grad, grad_a, grad_b;
  BoxMeasure measure;
  void* stream;
  std::int64_t n = 0;
  std::int64_t m = 0;

  void check(int rank) {
    n = grad_a.expect(0, a.size(0));
    m = grad_b.expect(0, b.size(0));
    for (const DeviceArray* boxes : {&a, &b, &grad_a, &grad_b}) boxes->expect(1, 4);
    grad.expect(0, n);
    if (rank == 2) {
      grad.expect(1, m);
    } else {
      b.expect(0, n);
    }
  }
};

template <typename T>
Status pairwise(const Arguments& given) {
  return cuda::pairwise_box_gradients(
      given.measure, given.a.data<const T>(2), given.n, given.b.data<const T>(2), given.m,
      given.grad.data<const T>(2), given.grad_a.data<T>(2), given.grad_b.data<T>(2), given.stream);
}

template <typename T>
Status matched(const Arguments& given) {
  return cuda::matched_box_gradients(
      given.measure, given.a.data<const T>(2), given.b.data<const T>(2), given.n,
      given.grad.data<const T>(1), given.grad_a.data<T>(2), given.grad_b.data<T>(2), given.stream);
}

Arguments checked(const py::object& a, const py::object& b, int measure, const py::object& grad,
                  const py::object& grad_a, const py::object& grad_b, std::uintptr_t stream,
                  int rank) {
  Arguments given{{a, "a"},           {b, "b"},
                  {grad, "grad"},     {grad_a, "grad_a"},
                  {grad_b, "grad_b"}, static_cast<BoxMeasure>(measure),
                  reinterpret_cast<void*>(stream)};
  given.check(rank);
  return given;
}

void pairwise_any(const py::object& a, const py::object& b, int measure, const py::object& grad,
                  const py::object& grad_a, const py::object& grad_b, std::uintptr_t stream) {
  const Arguments given = checked(a, b, measure, grad, grad_a, grad_b, stream, 2);
  raise_unless_ok(given.a.holds("<f8") ? pairwise<double>(given) : pairwise<float>(given));
}

void matched_any(const py::object& a, const py::object& b, int measure, const py::object& grad,
                 const py::object& grad_a, const py::object& grad_b, std::uintptr_t stream) {
  const Arguments given = checked(a, b, measure, grad, grad_a, grad_b, stream, 1);
  raise_unless_ok(given.a.holds("<f8") ? matched<double>(given) : matched<float>(given));
}

}  // namespace

void bind_box_gradients(py::module_& module) {
  module.def("pairwise_box_gradients", &pairwise_any, py::arg("a"), py::arg("b"),
             py::arg("measure"), py::arg("grad"), py::arg("grad_a"), py::arg("grad_b"),
             py::arg("stream"));
  module.def("matched_box_gradients", &matched_any, py::arg("a"), py::arg("b"), py::arg("measure"),
             py::arg("grad"), py::arg("grad_a"), py::arg("grad_b"), py::arg("stream"));
}

}  // namespace geodet::bindings
