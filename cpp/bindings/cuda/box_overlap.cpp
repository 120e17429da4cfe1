#include "geodet/box_overlap.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

template <typename T>
void pairwise(const DeviceArray& a, const DeviceArray& b, BoxMeasure measure,
              const DeviceArray& out, void* stream) {
  a.expect(1, 4);
  b.expect(1, 4);
  const std::int64_t n = out.expect(0, a.size(0));
  const std::int64_t m = out.expect(1, b.size(0));
  raise_unless_ok(cuda::pairwise_box_overlap(measure, a.data<const T>(2), n, b.data<const T>(2),
                                             m, out.data<T>(2), stream));
}

template <typename T>
void matched(const DeviceArray& a, const DeviceArray& b, BoxMeasure measure,
             const DeviceArray& out, void* stream) {
  a.expect(1, 4);
  b.expect(1, 4);
  const std::int64_t n = out.expect(0, a.size(0));
  b.expect(0, n);
  raise_unless_ok(cuda::matched_box_overlap(measure, a.data<const T>(2), b.data<const T>(2), n,
                                            out.data<T>(1), stream));
}

void pairwise_any(const py::object& a, const py::object& b, int measure, const py::object& out,
                  std::uintptr_t stream) {
  const DeviceArray a_array(a, "a");
  const DeviceArray b_array(b, "b");
  const DeviceArray out_array(out, "out");
  const auto kind = static_cast<BoxMeasure>(measure);
  void* queue = reinterpret_cast<void*>(stream);
  a_array.holds("<f8") ? pairwise<double>(a_array, b_array, kind, out_array, queue)
                       : pairwise<float>(a_array, b_array, kind, out_array, queue);
}

void matched_any(const py::object& a, const py::object& b, int measure, const py::object& out,
                 std::uintptr_t stream) {
  const DeviceArray a_array(a, "a");
  const DeviceArray b_array(b, "b");
  const DeviceArray out_array(out, "out");
  const auto kind = static_cast<BoxMeasure>(measure);
  void* queue = reinterpret_cast<void*>(stream);
  a_array.holds("<f8") ? matched<double>(a_array, b_array, kind, out_array, queue)
                       : matched<float>(a_array, b_array, kind, out_array, queue);
}

}  // namespace

void bind_box_overlap(py::module_& module) {
  module.def("pairwise_box_overlap", &pairwise_any, py::arg("a"), py::arg("b"),
             py::arg("measure"), py::arg("out"), py::arg("stream"));
  module.def("matched_box_overlap", &matched_any, py::arg("a"), py::arg("b"), py::arg("measure"),
             py::arg("out"), py::arg("stream"));
}

}  // namespace geodet::bindings
