#include "geodet/rle.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

// A batch on the device; that it is sound was checked before.
RleBatch read_batch(const DeviceArray& counts, const DeviceArray& offsets) {
  if (offsets.size(0) < 1) throw py::value_error("offsets: expected at least one element");
  return {counts.data<const std::int32_t>(1), offsets.data<const std::int64_t>(1),
          offsets.size(0) - 1};
}

const std::uint8_t* read_bool(const DeviceArray& array, int rank) {
  return reinterpret_cast<const std::uint8_t*>(array.data<const bool>(rank));
}

void* as_stream(std::uintptr_t stream) { return reinterpret_cast<void*>(stream); }

void area(const py::object& counts, const py::object& offsets, const py::object& areas,
          std::uintptr_t stream) {
  const RleBatch batch = read_batch({counts, "counts"}, {offsets, "offsets"});
  const DeviceArray areas_array(areas, "areas");
  areas_array.expect(0, batch.size);
  raise_unless_ok(cuda::rle_area(batch, areas_array.data<std::int64_t>(1), as_stream(stream)));
}

void boxes(const py::object& counts, const py::object& offsets, std::int64_t height,
           const py::object& out, std::uintptr_t stream) {
  const RleBatch batch = read_batch({counts, "counts"}, {offsets, "offsets"});
  const DeviceArray out_array(out, "out");
  out_array.expect(0, batch.size);
  out_array.expect(1, 4);
  raise_unless_ok(
      cuda::rle_boxes(batch, height, out_array.data<float>(2), as_stream(stream)));
}

void ends(const py::object& counts, const py::object& offsets, const py::object& out,
          std::uintptr_t stream) {
  const DeviceArray counts_array(counts, "counts");
  const RleBatch batch = read_batch(counts_array, {offsets, "offsets"});
  const DeviceArray out_array(out, "out");
  out_array.expect(0, counts_array.size(0));
  raise_unless_ok(cuda::rle_ends(batch, out_array.data<std::int32_t>(1), as_stream(stream)));
}

void iou(const py::object& a_counts, const py::object& a_offsets, const py::object& a_ends,
         const py::object& b_counts, const py::object& b_offsets, const py::object& b_ends,
         const py::object& is_crowd, std::int64_t height, const py::object& scratch,
         const py::object& out, std::uintptr_t stream) {
  const DeviceArray a_array(a_counts, "a_counts");
  const DeviceArray b_array(b_counts, "b_counts");
  const RleBatch a = read_batch(a_array, {a_offsets, "a_offsets"});
  const RleBatch b = read_batch(b_array, {b_offsets, "b_offsets"});
  const DeviceArray a_ends_array(a_ends, "a_ends");
  const DeviceArray b_ends_array(b_ends, "b_ends");
  a_ends_array.expect(0, a_array.size(0));
  b_ends_array.expect(0, b_array.size(0));
  const std::uint8_t* crowd = nullptr;
  if (!is_crowd.is_none()) {
    const DeviceArray crowd_array(is_crowd, "is_crowd");
    crowd_array.expect(0, b.size);
    crowd = read_bool(crowd_array, 1);
  }
  static_assert(sizeof(RunsSummary) == 4 * sizeof(std::int64_t), "scratch is four int64 a mask");
  const DeviceArray scratch_array(scratch, "scratch");
  scratch_array.expect(0, a.size + b.size);
  scratch_array.expect(1, 4);
  auto* summaries = reinterpret_cast<RunsSummary*>(scratch_array.data<std::int64_t>(2));
  const DeviceArray out_array(out, "out");
  out_array.expect(0, a.size);
  out_array.expect(1, b.size);
  raise_unless_ok(cuda::pairwise_rle_iou(
      a, b, crowd, height, a_ends_array.data<const std::int32_t>(1),
      b_ends_array.data<const std::int32_t>(1), summaries, out_array.data<double>(2),
      as_stream(stream)));
}

void decode(const py::object& counts, const py::object& offsets, const py::object& run_ends,
            const py::object& out, std::uintptr_t stream) {
  const DeviceArray counts_array(counts, "counts");
  const RleBatch batch = read_batch(counts_array, {offsets, "offsets"});
  const DeviceArray ends_array(run_ends, "ends");
  ends_array.expect(0, counts_array.size(0));
  const DeviceArray out_array(out, "out");
  auto* masks = reinterpret_cast<std::uint8_t*>(out_array.data<bool>(3));
  out_array.expect(0, batch.size);
  raise_unless_ok(cuda::rle_decode(batch, ends_array.data<const std::int32_t>(1),
                                   out_array.size(1), out_array.size(2), masks,
                                   as_stream(stream)));
}

void encode_count(const py::object& masks, const py::object& changes, std::uintptr_t stream) {
  const DeviceArray masks_array(masks, "masks");
  const std::uint8_t* data = read_bool(masks_array, 3);
  const DeviceArray changes_array(changes, "changes");
  auto* changes_data = changes_array.data<std::int32_t>(2);
  const std::int64_t n = changes_array.expect(0, masks_array.size(0));
  const std::int64_t width = changes_array.expect(1, masks_array.size(2));
  raise_unless_ok(cuda::rle_encode_count(data, n, masks_array.size(1), width, changes_data,
                                         as_stream(stream)));
}

void encode_fill(const py::object& masks, const py::object& starts, const py::object& positions,
                 std::uintptr_t stream) {
  const DeviceArray masks_array(masks, "masks");
  const std::uint8_t* data = read_bool(masks_array, 3);
  const std::int64_t n = masks_array.size(0);
  const std::int64_t width = masks_array.size(2);
  const DeviceArray starts_array(starts, "starts");
  starts_array.expect(0, n * width);
  raise_unless_ok(cuda::rle_encode_fill(
      data, n, masks_array.size(1), width, starts_array.data<const std::int64_t>(1),
      DeviceArray(positions, "positions").data<std::int64_t>(1), as_stream(stream)));
}

// Maps on the device; that they are sound was checked before.
struct DeviceMap {
  DeviceMap(const py::object& columns, const py::object& rows, std::int64_t width,
            std::int64_t new_height)
      : columns_(columns, "columns"), rows_(rows, "rows") {
    map.columns = columns_.data<const std::int32_t>(1);
    map.new_width = columns_.size(0);
    map.rows = rows_.data<const std::int32_t>(1);
    if (rows_.size(0) < 1) throw py::value_error("rows: expected at least one element");
    map.height = rows_.size(0) - 1;
    map.width = width;
    map.new_height = new_height;
  }

  ColumnMap map{};

 private:
  DeviceArray columns_, rows_;
};

void remap_count(const py::object& counts, const py::object& offsets, const py::object& run_ends,
                 const py::object& columns, const py::object& rows, std::int64_t width,
                 std::int64_t new_height, const py::object& changes, std::uintptr_t stream) {
  const DeviceArray counts_array(counts, "counts");
  const RleBatch batch = read_batch(counts_array, {offsets, "offsets"});
  const DeviceArray ends_array(run_ends, "ends");
  ends_array.expect(0, counts_array.size(0));
  const DeviceMap moved(columns, rows, width, new_height);
  const DeviceArray changes_array(changes, "changes");
  auto* changes_data = changes_array.data<std::int32_t>(2);
  changes_array.expect(0, batch.size);
  changes_array.expect(1, moved.map.new_width);
  raise_unless_ok(cuda::rle_remap_count(batch, ends_array.data<const std::int32_t>(1), moved.map,
                                        changes_data, as_stream(stream)));
}

void remap_fill(const py::object& counts, const py::object& offsets, const py::object& run_ends,
                const py::object& columns, const py::object& rows, std::int64_t width,
                std::int64_t new_height, const py::object& starts, const py::object& positions,
                std::uintptr_t stream) {
  const DeviceArray counts_array(counts, "counts");
  const RleBatch batch = read_batch(counts_array, {offsets, "offsets"});
  const DeviceArray ends_array(run_ends, "ends");
  ends_array.expect(0, counts_array.size(0));
  const DeviceMap moved(columns, rows, width, new_height);
  const DeviceArray starts_array(starts, "starts");
  const auto* starts_data = starts_array.data<const std::int64_t>(2);
  starts_array.expect(0, batch.size);
  starts_array.expect(1, moved.map.new_width);
  raise_unless_ok(cuda::rle_remap_fill(
      batch, ends_array.data<const std::int32_t>(1), moved.map, starts_data,
      DeviceArray(positions, "positions").data<std::int64_t>(1), as_stream(stream)));
}

}  // namespace

void bind_rle(py::module_& module) {
  module.def("rle_area", &area);
  module.def("rle_boxes", &boxes);
  module.def("rle_ends", &ends);
  module.def("pairwise_rle_iou", &iou);
  module.def("rle_decode", &decode);
  module.def("rle_encode_count", &encode_count);
  module.def("rle_encode_fill", &encode_fill);
  module.def("rle_remap_count", &remap_count);
  module.def("rle_remap_fill", &remap_fill);
}

}  // namespace geodet::bindings
