#include "geodet/nms.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "geodet/rotated_nms.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

// Upright boxes, four columns.
struct Upright {
  static constexpr std::int64_t kColumns = 4;
  template <typename... Arguments>
  static Status run(Arguments... arguments) {
    return cuda::nms(arguments...);
  }
};

// Rotated boxes, five.
struct Rotated {
  static constexpr std::int64_t kColumns = 5;
  template <typename... Arguments>
  static Status run(Arguments... arguments) {
    return cuda::rotated_nms(arguments...);
  }
};

template <typename Kind, typename T>
void suppress(const DeviceArray& boxes, const py::object& groups, double threshold,
              const DeviceArray& overlaps, const DeviceArray& keep, std::uintptr_t stream) {
  boxes.expect(1, Kind::kColumns);
  const std::int64_t n = keep.expect(0, boxes.size(0));
  overlaps.expect(0, n);
  overlaps.expect(1, (n + 63) / 64);
  const std::int64_t* groups_data = nullptr;
  if (!groups.is_none()) {
    const DeviceArray groups_array(groups, "groups");
    groups_array.expect(0, n);
    groups_data = groups_array.data<const std::int64_t>(1);
  }
  auto* words = reinterpret_cast<std::uint64_t*>(overlaps.data<std::int64_t>(2));
  raise_unless_ok(Kind::run(boxes.data<const T>(2), n, groups_data, threshold, words,
                            keep.data<std::uint8_t>(1), reinterpret_cast<void*>(stream)));
}

template <typename Kind>
void suppress_any(const py::object& boxes, const py::object& groups, double threshold,
                  const py::object& overlaps, const py::object& keep, std::uintptr_t stream) {
  const DeviceArray boxes_array(boxes, "boxes");
  const DeviceArray overlaps_array(overlaps, "overlaps");
  const DeviceArray keep_array(keep, "keep");
  if (boxes_array.holds("<f8")) {
    suppress<Kind, double>(boxes_array, groups, threshold, overlaps_array, keep_array, stream);
  } else {
    suppress<Kind, float>(boxes_array, groups, threshold, overlaps_array, keep_array, stream);
  }
}

}  // namespace

void bind_nms(py::module_& module) {
  module.def("nms", &suppress_any<Upright>, py::arg("boxes"), py::arg("groups").none(true),
             py::arg("threshold"), py::arg("overlaps"), py::arg("keep"), py::arg("stream"));
  module.def("rotated_nms", &suppress_any<Rotated>, py::arg("boxes"),
             py::arg("groups").none(true), py::arg("threshold"), py::arg("overlaps"),
             py::arg("keep"), py::arg("stream"));
}

}  // namespace geodet::bindings
