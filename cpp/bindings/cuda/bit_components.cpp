#include "geodet/bit_components.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

void find(const py::object& masks, bool corners, const py::object& parents,
          std::uintptr_t stream) {
  const DeviceArray masks_array(masks, "masks");
  const auto* data = reinterpret_cast<const std::uint8_t*>(masks_array.data<const bool>(3));
  const std::int64_t n = masks_array.size(0);
  const std::int64_t height = masks_array.size(1);
  const std::int64_t width = masks_array.size(2);
  const DeviceArray parents_array(parents, "parents");
  auto* parents_data = parents_array.data<std::int32_t>(2);
  parents_array.expect(0, n);
  parents_array.expect(1, height * width);
  raise_unless_ok(cuda::find_components(data, n, height, width, corners, parents_data,
                                        reinterpret_cast<void*>(stream)));
}

void label(const py::object& parents, const py::object& ranks, const py::object& labels,
           std::uintptr_t stream) {
  const DeviceArray labels_array(labels, "labels");
  auto* data = labels_array.data<std::int32_t>(3);
  const std::int64_t n = labels_array.size(0);
  const std::int64_t height = labels_array.size(1);
  const std::int64_t width = labels_array.size(2);
  const DeviceArray parents_array(parents, "parents");
  const auto* parents_data = parents_array.data<const std::int32_t>(2);
  parents_array.expect(0, n);
  parents_array.expect(1, height * width);
  const DeviceArray ranks_array(ranks, "ranks");
  const auto* ranks_data = ranks_array.data<const std::int32_t>(2);
  ranks_array.expect(0, n);
  ranks_array.expect(1, height * width);
  raise_unless_ok(cuda::label_components(parents_data, ranks_data, n, height, width, data,
                                         reinterpret_cast<void*>(stream)));
}

}  // namespace

void bind_bit_components(py::module_& module) {
  module.def("find_components", &find);
  module.def("label_components", &label);
}

}  // namespace geodet::bindings
