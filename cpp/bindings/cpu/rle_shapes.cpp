#include "geodet/rle_shapes.hpp"

#include <memory>
#include <string>
#include <vector>

#include "families.hpp"
#include "rle_arrays.hpp"

namespace geodet::bindings {
namespace {

using Offsets = std::vector<std::int64_t>;

// [n + 1] offsets from the [n] lengths that `measure(lengths)` fills in.
template <typename Measure>
Offsets offsets_of(std::int64_t n, Measure&& measure) {
  Offsets offsets(static_cast<std::size_t>(n) + 1, 0);
  measure(offsets.data() + 1);
  for (std::int64_t i = 0; i < n; ++i) offsets[i + 1] += offsets[i];
  return offsets;
}

// The segments of a batch.
class Segments {
 public:
  Segments(const RleArrays& masks, std::int64_t height, int num_threads)
      : offsets_(offsets_of(
            masks.size(),
            [&](std::int64_t* sizes) { rle_count_segments(masks.batch(), height, sizes); })),
        segments_(offsets_.back()) {
    rle_list_segments(masks.batch(), height, offsets_.data(), segments_.data(), num_threads);
  }

  SegmentBatch batch() {
    return {segments_.data(), offsets_.data(), static_cast<std::int64_t>(offsets_.size()) - 1};
  }
  std::int64_t total() const { return offsets_.back(); }

 private:
  Offsets offsets_;
  Buffer<ColumnSegment> segments_;
};

Connectivity read_connectivity(int connectivity) {
  if (connectivity == 4) return Connectivity::kSides;
  if (connectivity == 8) return Connectivity::kCorners;
  throw py::value_error("connectivity: expected 4 or 8, got " + std::to_string(connectivity));
}

py::array_t<std::int64_t> as_array(const Offsets& offsets) {
  return py::array_t<std::int64_t>(static_cast<py::ssize_t>(offsets.size()), offsets.data());
}

py::tuple components(const py::array& counts, const py::array& offsets, std::int64_t height,
                     std::int64_t width, int connectivity, int num_threads) {
  const RleArrays masks(counts, offsets, pixels_of(height, width));
  const Connectivity neighbours = read_connectivity(connectivity);
  Status status = Status::kOk;
  Offsets component_offsets;
  Offsets slot_offsets;
  std::vector<std::int64_t> lengths;
  std::unique_ptr<Buffer<std::int32_t>> slots;
  {
    py::gil_scoped_release release;
    Segments segments(masks, height, num_threads);
    const SegmentBatch batch = segments.batch();
    Buffer<std::int32_t> labels(segments.total());
    component_offsets = offsets_of(batch.size, [&](std::int64_t* sizes) {
      status = label_segments(batch, neighbours, labels.data(), sizes, num_threads);
    });
    const std::int64_t total = component_offsets.back();
    slot_offsets = offsets_of(total, [&](std::int64_t* sizes) {
      count_component_segments(batch, labels.data(), component_offsets.data(), sizes);
      for (std::int64_t c = 0; c < total; ++c) sizes[c] = 2 * sizes[c] + 1;
    });
    slots = std::make_unique<Buffer<std::int32_t>>(slot_offsets.back());
    Buffer<std::int64_t> ends(total);
    lengths.resize(static_cast<std::size_t>(total));
    if (status == Status::kOk) {
      write_components(batch, labels.data(), component_offsets.data(), height, height * width,
                       slot_offsets.data(), slots->data(), ends.data(), lengths.data(),
                       num_threads);
    }
  }
  raise_unless_ok(status);
  const auto total = static_cast<std::int64_t>(lengths.size());
  FlatRle result = gather_rle(slots->data(), lengths.data(), total,
                              [&](std::int64_t c) { return slot_offsets[c]; });
  py::array_t<std::int64_t> origins(total);
  std::int64_t* origin = origins.mutable_data();
  for (std::int64_t i = 0; i < masks.size(); ++i) {
    for (std::int64_t c = component_offsets[i]; c < component_offsets[i + 1]; ++c) origin[c] = i;
  }
  return py::make_tuple(result.first, result.second, origins);
}

py::array_t<std::int64_t> label_pixels(const py::array& counts, const py::array& offsets,
                                       py::array& labels, int connectivity, int num_threads) {
  auto* pixels = write<std::int32_t>(labels, 3, "labels");
  const std::int64_t height = labels.shape(1);
  const std::int64_t width = labels.shape(2);
  const RleArrays masks(counts, offsets, pixels_of(height, width));
  size(labels, 0, masks.size(), "labels");
  const Connectivity neighbours = read_connectivity(connectivity);
  py::array_t<std::int64_t> num_components(masks.size());
  std::int64_t* numbers = num_components.mutable_data();
  Status status;
  {
    py::gil_scoped_release release;
    Segments segments(masks, height, num_threads);
    Buffer<std::int32_t> segment_labels(segments.total());
    status = label_segments(segments.batch(), neighbours, segment_labels.data(), numbers,
                            num_threads);
    paint_labels(segments.batch(), segment_labels.data(), height, width, pixels, num_threads);
  }
  raise_unless_ok(status);
  return num_components;
}

// Rings of a batch, traced and counted; their points are not written yet.
struct TracedRings {
  Offsets component_offsets, corner_offsets, num_rings;
  std::unique_ptr<Buffer<Corner>> corners;
  std::unique_ptr<Buffer<Ring>> rings;

  TracedRings(const RleArrays& masks, std::int64_t height, int num_threads)
      : num_rings(static_cast<std::size_t>(masks.size())) {
    const std::int64_t n = masks.size();
    Segments segments(masks, height, num_threads);
    const SegmentBatch batch = segments.batch();
    Buffer<std::int32_t> labels(segments.total());
    component_offsets = offsets_of(n, [&](std::int64_t* sizes) {
      // Fails for no connectivity but one that is neither.
      (void)label_segments(batch, Connectivity::kSides, labels.data(), sizes, num_threads);
    });
    corner_offsets =
        offsets_of(n, [&](std::int64_t* sizes) { count_corners(batch, sizes, num_threads); });
    corners = std::make_unique<Buffer<Corner>>(corner_offsets.back());
    rings = std::make_unique<Buffer<Ring>>(corner_offsets.back() / 4);
    Buffer<std::int64_t> open_rows(n * (height + 1));
    trace_rings(batch, labels.data(), height, corner_offsets.data(), corners->data(),
                open_rows.data(), rings->data(), num_rings.data(), num_threads);
  }
};

py::tuple contours(const py::array& counts, const py::array& offsets, std::int64_t height,
                   std::int64_t width, int num_threads) {
  const RleArrays masks(counts, offsets, pixels_of(height, width));
  const std::int64_t n = masks.size();
  std::unique_ptr<TracedRings> traced;
  {
    py::gil_scoped_release release;
    traced = std::make_unique<TracedRings>(masks, height, num_threads);
  }
  std::int64_t all_rings = 0;
  for (const std::int64_t number : traced->num_rings) all_rings += number;
  const std::int64_t num_corners = traced->corner_offsets.back();
  py::array_t<std::int64_t> ring_offsets(all_rings + 1);
  py::array_t<std::int64_t> part_offsets(traced->component_offsets.back() + 1);
  py::array_t<double> points({num_corners, std::int64_t{2}});
  std::int64_t* rings_out = ring_offsets.mutable_data();
  std::int64_t* parts_out = part_offsets.mutable_data();
  double* points_out = points.mutable_data();
  {
    py::gil_scoped_release release;
    Buffer<std::int64_t> next(traced->component_offsets.back());
    place_rings(n, traced->corner_offsets.data(), traced->rings->data(),
                traced->num_rings.data(), traced->component_offsets.data(), rings_out, parts_out,
                next.data());
    write_ring_points(n, traced->corner_offsets.data(), traced->corners->data(),
                      traced->rings->data(), traced->num_rings.data(), rings_out, points_out,
                      num_threads);
  }
  return py::make_tuple(points, ring_offsets, part_offsets, as_array(traced->component_offsets));
}

FlatRle turn(const py::array& counts, const py::array& offsets, std::int64_t height,
             std::int64_t width, bool bottom_row_first, bool right_end_first, int num_threads) {
  const RleArrays masks(counts, offsets, pixels_of(height, width));
  const std::int64_t n = masks.size();
  const RowsToColumns way{bottom_row_first, right_end_first};
  Offsets row_run_offsets;
  Buffer<std::int64_t> lengths(n);
  std::unique_ptr<Buffer<std::int32_t>> slots;
  {
    py::gil_scoped_release release;
    Segments segments(masks, height, num_threads);
    Buffer<std::int64_t> row_counts(n * (height + 1));
    row_run_offsets = offsets_of(n, [&](std::int64_t* sizes) {
      count_row_runs(segments.batch(), height, row_counts.data(), sizes, num_threads);
    });
    const std::int64_t total = row_run_offsets.back();
    Buffer<std::int32_t> row_runs(2 * total);
    slots = std::make_unique<Buffer<std::int32_t>>(2 * total + n);
    write_turned(segments.batch(), height, width, way, row_counts.data(), row_run_offsets.data(),
                 row_runs.data(), slots->data(), lengths.data(), num_threads);
  }
  return gather_rle(slots->data(), lengths.data(), n,
                    [&](std::int64_t i) { return 2 * row_run_offsets[i] + i; });
}

}  // namespace

void bind_rle_shapes(py::module_& module) {
  module.def("rle_connected_components", &components, py::arg("counts"), py::arg("offsets"),
             py::arg("height"), py::arg("width"), py::arg("connectivity"),
             py::arg("num_threads"));
  module.def("label_pixels", &label_pixels, py::arg("counts"), py::arg("offsets"),
             py::arg("labels"), py::arg("connectivity"), py::arg("num_threads"));
  module.def("rle_contours", &contours, py::arg("counts"), py::arg("offsets"), py::arg("height"),
             py::arg("width"), py::arg("num_threads"));
  module.def("rle_turn", &turn, py::arg("counts"), py::arg("offsets"), py::arg("height"),
             py::arg("width"), py::arg("bottom_row_first"), py::arg("right_end_first"),
             py::arg("num_threads"));
}

}  // namespace geodet::bindings
