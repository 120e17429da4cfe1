#include "geodet/paste.hpp"

#include <type_traits>

#include "arrays.hpp"
#include "families.hpp"
#include "rle_arrays.hpp"

namespace geodet::bindings {
namespace {

// Columns of upright or rotated boxes, one row for each mask.
std::int64_t box_columns(const py::array& probabilities, const py::array& boxes) {
  size(boxes, 0, probabilities.shape(0), "boxes");
  if (boxes.shape(1) != kRotatedColumns) size(boxes, 1, kUprightColumns, "boxes");
  return boxes.shape(1);
}

template <typename T, typename Out>
void paste(const py::array& probabilities, const py::array& boxes, py::array& out,
           double threshold, int num_threads) {
  const T* values = read<T>(probabilities, 3, "probabilities");
  const T* boxes_data = read<T>(boxes, 2, "boxes");
  Out* out_data = write<Out>(out, 3, "out");
  size(out, 0, probabilities.shape(0), "out");
  const PasteSizes sizes{probabilities.shape(0), probabilities.shape(1), probabilities.shape(2),
                         out.shape(1), out.shape(2), box_columns(probabilities, boxes)};
  const std::int64_t count = paste_scratch_values(sizes);
  if (count < 0) throw py::value_error("probabilities: expected masks of at least one cell");
  Buffer<T> scratch(count);
  Status status;
  {
    py::gil_scoped_release release;
    if constexpr (std::is_same_v<Out, bool>) {
      status = paste_masks(values, boxes_data, sizes, threshold, scratch.data(), out_data,
                           num_threads);
    } else {
      status = paste_probabilities(values, boxes_data, sizes, scratch.data(), out_data,
                                   num_threads);
    }
  }
  raise_unless_ok(status);
}

template <typename T>
FlatRle paste_runs(const py::array& probabilities, const py::array& boxes, std::int64_t height,
                   std::int64_t width, double threshold, int num_threads) {
  const T* values = read<T>(probabilities, 3, "probabilities");
  const T* boxes_data = read<T>(boxes, 2, "boxes");
  const PasteSizes sizes{probabilities.shape(0), probabilities.shape(1), probabilities.shape(2),
                         height, width, box_columns(probabilities, boxes)};
  const std::int64_t count = paste_runs_scratch_values(sizes);
  if (count < 0) {
    throw py::value_error("expected masks of at least one cell and an image of at most 2^31 - 1 "
                          "pixels");
  }
  Buffer<T> scratch(count);
  Buffer<PasteWindow> windows(sizes.masks);
  Buffer<std::uint64_t> words(paste_runs_plan(boxes_data, sizes, windows.data()));
  Status status;
  {
    py::gil_scoped_release release;
    status = paste_runs_scan(values, boxes_data, sizes, threshold, windows.data(), scratch.data(),
                             words.data(), num_threads);
  }
  raise_unless_ok(status);
  Buffer<std::int64_t> lengths(sizes.masks);
  for (std::int64_t i = 0; i < sizes.masks; ++i) lengths[i] = windows[i].num_runs;
  FlatRle result = allocate_rle(lengths.data(), sizes.masks);
  std::int32_t* counts = result.first.mutable_data();
  const std::int64_t* offsets = result.second.data();
  {
    py::gil_scoped_release release;
    status = paste_runs_fill(windows.data(), sizes, words.data(), offsets, counts, num_threads);
  }
  raise_unless_ok(status);
  return result;
}

FlatRle paste_runs_any(const py::array& probabilities, const py::array& boxes, std::int64_t height,
                       std::int64_t width, double threshold, int num_threads) {
  if (probabilities.dtype().equal(py::dtype::of<double>())) {
    return paste_runs<double>(probabilities, boxes, height, width, threshold, num_threads);
  }
  return paste_runs<float>(probabilities, boxes, height, width, threshold, num_threads);
}

void paste_masks_any(const py::array& probabilities, const py::array& boxes, py::array& out,
                     double threshold, int num_threads) {
  if (probabilities.dtype().equal(py::dtype::of<double>())) {
    paste<double, bool>(probabilities, boxes, out, threshold, num_threads);
  } else {
    paste<float, bool>(probabilities, boxes, out, threshold, num_threads);
  }
}

void paste_probabilities_any(const py::array& probabilities, const py::array& boxes,
                             py::array& out, int num_threads) {
  if (probabilities.dtype().equal(py::dtype::of<double>())) {
    paste<double, double>(probabilities, boxes, out, 1.0, num_threads);
  } else {
    paste<float, float>(probabilities, boxes, out, 1.0, num_threads);
  }
}

}  // namespace

void bind_paste(py::module_& module) {
  module.def("paste_masks", &paste_masks_any, py::arg("probabilities"), py::arg("boxes"),
             py::arg("out"), py::arg("threshold"), py::arg("num_threads"));
  module.def("paste_probabilities", &paste_probabilities_any, py::arg("probabilities"),
             py::arg("boxes"), py::arg("out"), py::arg("num_threads"));
  module.def("paste_masks_to_rle", &paste_runs_any, py::arg("probabilities"), py::arg("boxes"),
             py::arg("height"), py::arg("width"), py::arg("threshold"), py::arg("num_threads"));
}

}  // namespace geodet::bindings
