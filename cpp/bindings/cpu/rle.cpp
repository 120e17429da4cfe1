#include "geodet/rle.hpp"

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families.hpp"
#include "rle_arrays.hpp"

namespace geodet::bindings {
namespace {

// Number of pixels of every mask.
std::int64_t check(const py::array& counts, const py::array& offsets, std::int64_t num_pixels,
                   const std::string& name) {
  return RleArrays(counts, offsets, num_pixels, name.c_str()).num_pixels();
}

FlatRle encode(const py::array& masks, int num_threads) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(read<bool>(masks, 3, "masks"));
  const std::int64_t n = masks.shape(0);
  const std::int64_t height = masks.shape(1);
  const std::int64_t width = masks.shape(2);
  if (width > 0 && height > kMaxMaskPixels / width) {
    throw py::value_error("masks: more than 2^31 - 1 pixels");
  }
  Buffer<MaskScan> scans(n);
  {
    py::gil_scoped_release release;
    (void)rle_encode_scan(data, n, height, width, scans.data(), num_threads);
  }
  Buffer<std::int64_t> lengths(n);
  for (std::int64_t i = 0; i < n; ++i) lengths[i] = scans[i].num_runs;
  FlatRle result = allocate_rle(lengths.data(), n);
  std::int32_t* counts = result.first.mutable_data();
  const std::int64_t* offsets = result.second.data();
  Status status;
  {
    py::gil_scoped_release release;
    status = rle_encode_fill(data, n, height, width, scans.data(), offsets, counts, num_threads);
  }
  raise_unless_ok(status);
  return result;
}

// `out` holds zeros.
void decode(const py::array& counts, const py::array& offsets, py::array& out, int num_threads) {
  bool* data = write<bool>(out, 3, "out");
  const std::int64_t height = out.shape(1);
  const std::int64_t width = out.shape(2);
  if (width > 0 && height > kMaxMaskPixels / width) {
    throw py::value_error("out: more than 2^31 - 1 pixels a mask");
  }
  const RleArrays masks(counts, offsets, height * width);
  size(out, 0, masks.size(), "out");
  Status status;
  {
    py::gil_scoped_release release;
    status = rle_decode(masks.batch(), height, width, reinterpret_cast<std::uint8_t*>(data),
                        num_threads);
  }
  raise_unless_ok(status);
}

py::array_t<std::int64_t> area(const py::array& counts, const py::array& offsets) {
  const RleArrays masks(counts, offsets, -1);
  py::array_t<std::int64_t> areas(masks.size());
  rle_area(masks.batch(), areas.mutable_data());
  return areas;
}

py::array_t<float> boxes(const py::array& counts, const py::array& offsets, std::int64_t height) {
  const RleArrays masks(counts, offsets, -1);
  if (height < 0 || (masks.num_pixels() > 0 && (height == 0 || masks.num_pixels() % height != 0))) {
    raise_invalid_value("height: masks of " + std::to_string(masks.num_pixels()) +
                        " pixels do not have " + std::to_string(height) + " rows");
  }
  py::array_t<float> result({masks.size(), std::int64_t{4}});
  rle_boxes(masks.batch(), height, result.mutable_data());
  return result;
}

py::array_t<double> iou(const py::array& a_counts, const py::array& a_offsets,
                        const py::array& b_counts, const py::array& b_offsets,
                        const std::optional<py::array>& is_crowd, std::int64_t height,
                        int num_threads) {
  const RleArrays a(a_counts, a_offsets, -1, "a");
  const RleArrays b(b_counts, b_offsets, a.size() > 0 ? a.num_pixels() : -1, "b");
  const std::uint8_t* crowd = nullptr;
  if (is_crowd.has_value()) {
    crowd = reinterpret_cast<const std::uint8_t*>(read<bool>(*is_crowd, 1, "is_crowd"));
    size(*is_crowd, 0, b.size(), "is_crowd");
  }
  if (height > 0 && a.num_pixels() % height != 0) {
    raise_invalid_value("height: masks of " + std::to_string(a.num_pixels()) +
                        " pixels do not have " + std::to_string(height) + " rows");
  }
  py::array_t<double> result({a.size(), b.size()});
  double* data = result.mutable_data();
  const std::int64_t n = a.size();
  Buffer<std::int32_t> a_ends(a.num_counts());
  Buffer<std::int32_t> b_ends(b.num_counts());
  Buffer<RunsSummary> summaries(n + b.size());
  // To lay out strips costs about as much as to compare every mask twice.
  const bool many = height > 0 && n * b.size() >= 2 * (n + b.size());
  Buffer<MaskStrips> strips(many ? n + b.size() : 0);
  Status status;
  {
    py::gil_scoped_release release;
    std::int64_t values = 0;
    if (many) {
      values = rle_strips_plan(a.batch(), height, 0, strips.data());
      values += rle_strips_plan(b.batch(), height, values, strips.data() + n);
    }
    Buffer<std::int32_t> strip_values(values);
    if (many) {
      rle_strips_fill(a.batch(), height, strips.data(), strip_values.data(), num_threads);
      rle_strips_fill(b.batch(), height, strips.data() + n, strip_values.data(), num_threads);
    }
    const RleOverlapScratch scratch{a_ends.data(), b_ends.data(), summaries.data(),
                                    many ? strips.data() : nullptr, strip_values.data()};
    status = pairwise_rle_iou(a.batch(), b.batch(), crowd, height, scratch, data, num_threads);
  }
  raise_unless_ok(status);
  return result;
}

py::list to_strings(const py::array& counts, const py::array& offsets) {
  const RleArrays masks(counts, offsets, -1);
  py::list texts;
  std::vector<char> text;
  for (std::int64_t i = 0; i < masks.size(); ++i) {
    const Runs runs = masks.batch()[i];
    text.resize(static_cast<std::size_t>(rle_text_size(runs)));
    rle_to_text(runs, text.data());
    texts.append(py::bytes(text.data(), text.size()));
  }
  return texts;
}

// One text of COCO's, whether bytes or str.
std::string_view as_text(const py::handle& item, std::int64_t row) {
  if (PyBytes_Check(item.ptr())) {
    return {PyBytes_AS_STRING(item.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(item.ptr()))};
  }
  if (PyUnicode_Check(item.ptr())) {
    Py_ssize_t length = 0;
    const char* text = PyUnicode_AsUTF8AndSize(item.ptr(), &length);
    if (text == nullptr) throw py::error_already_set();
    return {text, static_cast<std::size_t>(length)};
  }
  throw py::type_error("texts: expected bytes or str, got another type for mask " +
                       std::to_string(row));
}

FlatRle from_strings(const py::list& texts) {
  const auto n = static_cast<std::int64_t>(texts.size());
  std::vector<std::string_view> views;
  Buffer<std::int64_t> lengths(n);
  for (std::int64_t i = 0; i < n; ++i) {
    views.push_back(as_text(texts[static_cast<std::size_t>(i)], i));
    lengths[i] = rle_text_num_runs(views.back().data(),
                                   static_cast<std::int64_t>(views.back().size()));
  }
  FlatRle result = allocate_rle(lengths.data(), n);
  std::int32_t* counts = result.first.mutable_data();
  for (std::int64_t i = 0; i < n; ++i) {
    const std::string_view text = views[static_cast<std::size_t>(i)];
    std::int64_t fault = 0;
    const Status status = rle_from_text(text.data(), static_cast<std::int64_t>(text.size()),
                                        counts + result.second.data()[i], &fault);
    if (status != Status::kOk) {
      raise_invalid_value("texts: mask " + std::to_string(i) + " is not COCO's run-length text: "
                          "character " + std::to_string(fault) +
                          " is outside of its alphabet, cut off, or makes a run negative or "
                          "larger than 2^31 - 1");
    }
  }
  return result;
}

}  // namespace

void bind_rle(py::module_& module) {
  module.def("rle_check", &check, py::arg("counts"), py::arg("offsets"), py::arg("num_pixels"),
             py::arg("name") = "");
  module.def("rle_encode", &encode, py::arg("masks"), py::arg("num_threads"));
  module.def("rle_decode", &decode, py::arg("counts"), py::arg("offsets"), py::arg("out"),
             py::arg("num_threads"));
  module.def("rle_area", &area, py::arg("counts"), py::arg("offsets"));
  module.def("rle_boxes", &boxes, py::arg("counts"), py::arg("offsets"), py::arg("height"));
  module.def("pairwise_rle_iou", &iou, py::arg("a_counts"), py::arg("a_offsets"),
             py::arg("b_counts"), py::arg("b_offsets"), py::arg("is_crowd").none(true),
             py::arg("height"), py::arg("num_threads"));
  module.def("rle_to_strings", &to_strings, py::arg("counts"), py::arg("offsets"));
  module.def("rle_from_strings", &from_strings, py::arg("texts"));
}

}  // namespace geodet::bindings
