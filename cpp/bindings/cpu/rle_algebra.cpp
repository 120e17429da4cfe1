#include <string>

#include "families.hpp"
#include "rle_arrays.hpp"

namespace geodet::bindings {
namespace {

FlatRle reduce(const py::array& counts, const py::array& offsets, const py::array& group_offsets,
               bool intersect, std::int64_t num_pixels, int num_threads) {
  const RleArrays masks(counts, offsets, num_pixels);
  const auto* groups = read<std::int64_t>(group_offsets, 1, "group_offsets");
  if (group_offsets.shape(0) < 1) {
    throw py::value_error("group_offsets: expected at least one element");
  }
  const std::int64_t num_groups = group_offsets.shape(0) - 1;
  const std::int64_t room = masks.num_counts() + masks.size() + 2 * num_groups;
  Buffer<std::int32_t> slots(room);
  Buffer<std::int32_t> scratch(room);
  Buffer<std::int64_t> lengths(num_groups);
  Status status;
  {
    py::gil_scoped_release release;
    status = rle_reduce(masks.batch(), groups, num_groups,
                        intersect ? RunsOperation::kIntersection : RunsOperation::kUnion,
                        masks.num_pixels(), slots.data(), scratch.data(), lengths.data(),
                        num_threads);
  }
  if (status == Status::kOutOfRange) {
    raise_invalid_value("group_offsets: expected to rise from 0 to the number of masks, " +
                        std::to_string(masks.size()));
  }
  raise_unless_ok(status);
  return gather_rle(slots.data(), lengths.data(), num_groups, [&](std::int64_t g) {
    return rle_slot(masks.batch(), groups[g], g);
  });
}

RunsOperation read_operation(const std::string& name) {
  if (name == "union") return RunsOperation::kUnion;
  if (name == "intersection") return RunsOperation::kIntersection;
  if (name == "difference") return RunsOperation::kDifference;
  throw py::value_error("operation: expected union, intersection or difference, got " + name);
}

FlatRle combine(const py::array& a_counts, const py::array& a_offsets, const py::array& b_counts,
                const py::array& b_offsets, const std::string& operation_name, int num_threads) {
  const RunsOperation operation = read_operation(operation_name);
  const RleArrays a(a_counts, a_offsets, -1, "a");
  const RleArrays b(b_counts, b_offsets, a.size() > 0 ? a.num_pixels() : -1, "b");
  size(b_offsets, 0, a_offsets.shape(0), "b_offsets");
  Buffer<std::int32_t> slots(a.num_counts() + b.num_counts() + a.size());
  Buffer<std::int64_t> lengths(a.size());
  Status status;
  {
    py::gil_scoped_release release;
    status = rle_combine(a.batch(), b.batch(), operation, slots.data(), lengths.data(),
                         num_threads);
  }
  raise_unless_ok(status);
  return gather_rle(slots.data(), lengths.data(), a.size(), [&](std::int64_t i) {
    return a.batch().offsets[i] + b.batch().offsets[i] + i;
  });
}

FlatRle remap(const py::array& counts, const py::array& offsets, std::int64_t width,
              const py::array& columns, const py::array& rows, std::int64_t new_height,
              int num_threads) {
  ColumnMap map{};
  map.columns = read<std::int32_t>(columns, 1, "columns");
  map.new_width = columns.shape(0);
  map.rows = read<std::int32_t>(rows, 1, "rows");
  if (rows.shape(0) < 1) throw py::value_error("rows: expected at least one element");
  map.height = rows.shape(0) - 1;
  map.width = width;
  map.new_height = new_height;
  if (!column_map_is_sound(map) || (width > 0 && map.height > kMaxMaskPixels / width)) {
    throw py::value_error("columns, rows: not a map between masks of these sizes");
  }
  const RleArrays masks(counts, offsets, map.height * map.width);
  Buffer<std::int64_t> lengths(masks.size());
  {
    py::gil_scoped_release release;
    (void)rle_remap(masks.batch(), map, lengths.data(), nullptr, nullptr, num_threads);
  }
  FlatRle result = allocate_rle(lengths.data(), masks.size());
  std::int32_t* new_counts = result.first.mutable_data();
  const std::int64_t* new_offsets = result.second.data();
  Status status;
  {
    py::gil_scoped_release release;
    status = rle_remap(masks.batch(), map, nullptr, new_offsets, new_counts, num_threads);
  }
  raise_unless_ok(status);
  return result;
}

}  // namespace

void bind_rle_algebra(py::module_& module) {
  module.def("rle_reduce", &reduce, py::arg("counts"), py::arg("offsets"),
             py::arg("group_offsets"), py::arg("intersect"), py::arg("num_pixels"),
             py::arg("num_threads"));
  module.def("rle_combine", &combine, py::arg("a_counts"), py::arg("a_offsets"),
             py::arg("b_counts"), py::arg("b_offsets"), py::arg("operation"),
             py::arg("num_threads"));
  module.def("rle_remap", &remap, py::arg("counts"), py::arg("offsets"), py::arg("width"),
             py::arg("columns"), py::arg("rows"), py::arg("new_height"), py::arg("num_threads"));
}

}  // namespace geodet::bindings
