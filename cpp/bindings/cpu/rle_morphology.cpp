#include "geodet/rle_morphology.hpp"

#include <string>
#include <vector>

#include "families.hpp"
#include "rle_arrays.hpp"

namespace geodet::bindings {
namespace {

// Run lengths that may be held as scratch at a time; only what is used of them is ever touched.
constexpr std::int64_t kRoomPerChunk = 1 << 24;

Neighbourhood read_neighbourhood(const std::string& name) {
  if (name == "square") return Neighbourhood::kSquare;
  if (name == "diamond") return Neighbourhood::kDiamond;
  if (name == "disk") return Neighbourhood::kDisk;
  throw py::value_error("neighbourhood: expected square, diamond or disk, got " + name);
}

// Appends masks [first, last) of a batch, dilated or eroded.
Status append_chunk(RleBatch batch, std::int64_t first, std::int64_t last, std::int64_t height,
                    std::int64_t width, MorphologyPlan plan, const std::int64_t* rooms,
                    std::vector<std::int32_t>& counts, std::vector<std::int64_t>& lengths,
                    int num_threads) {
  const std::int64_t size = last - first;
  // A view of some masks: offsets need not begin at 0 to be read through.
  const RleBatch chunk{batch.counts, batch.offsets + first, size};
  std::vector<std::int64_t> room_offsets(static_cast<std::size_t>(size) + 1, 0);
  for (std::int64_t i = 0; i < size; ++i) room_offsets[i + 1] = room_offsets[i] + rooms[first + i];
  Buffer<std::int32_t> buffers(kMorphologyBuffers * room_offsets[size]);
  Buffer<std::int64_t> results(size);
  const Status status =
      rle_morphology(chunk, height, width, plan, room_offsets.data(), buffers.data(),
                     results.data(), lengths.data() + first, num_threads);
  if (status != Status::kOk) return status;
  for (std::int64_t i = 0; i < size; ++i) {
    const std::int32_t* runs = buffers.data() + results[i];
    counts.insert(counts.end(), runs, runs + lengths[first + i]);
  }
  return status;
}

FlatRle morphology(const py::array& counts, const py::array& offsets, std::int64_t height,
                   std::int64_t width, std::int64_t radius, const std::string& neighbourhood,
                   bool erode, int num_threads) {
  const RleArrays masks(counts, offsets, pixels_of(height, width));
  const MorphologyPlan plan{erode ? Morphology::kErode : Morphology::kDilate,
                            read_neighbourhood(neighbourhood), radius};
  std::vector<std::int32_t> new_counts;
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(masks.size()));
  Status status;
  {
    py::gil_scoped_release release;
    std::vector<std::int64_t> rooms(lengths.size());
    status = rle_morphology_rooms(masks.batch(), height, width, plan, rooms.data());
    std::int64_t first = 0;
    while (status == Status::kOk && first < masks.size()) {
      std::int64_t last = first;
      for (std::int64_t room = 0; last < masks.size() && (last == first || room < kRoomPerChunk);) {
        room += rooms[last++];
      }
      status = append_chunk(masks.batch(), first, last, height, width, plan, rooms.data(),
                            new_counts, lengths, num_threads);
      first = last;
    }
  }
  raise_unless_ok(status);
  FlatRle result = allocate_rle(lengths.data(), masks.size());
  std::copy(new_counts.begin(), new_counts.end(), result.first.mutable_data());
  return result;
}

FlatRle complement(const py::array& counts, const py::array& offsets) {
  const RleArrays masks(counts, offsets, -1);
  Buffer<std::int32_t> slots(masks.num_counts() + masks.size());
  Buffer<std::int64_t> lengths(masks.size());
  {
    py::gil_scoped_release release;
    rle_complement(masks.batch(), slots.data(), lengths.data());
  }
  return gather_rle(slots.data(), lengths.data(), masks.size(),
                    [&](std::int64_t i) { return masks.batch().offsets[i] + i; });
}

FlatRle pad(const py::array& counts, const py::array& offsets, std::int64_t height,
            std::int64_t width, std::int64_t left, std::int64_t top, std::int64_t right,
            std::int64_t bottom, int num_threads) {
  const RleArrays masks(counts, offsets, pixels_of(height, width));
  for (const std::int64_t pixels : {left, top, right, bottom}) {
    if (pixels < 0 || pixels > kMaxMaskPixels) throw py::value_error("padding: out of range");
  }
  const Padding padding{left, top, right, bottom};
  (void)pixels_of(top + height + bottom, left + width + right);
  Buffer<std::int64_t> lengths(masks.size());
  Status status;
  {
    py::gil_scoped_release release;
    status = rle_pad(masks.batch(), height, width, padding, lengths.data(), nullptr, nullptr,
                     num_threads);
  }
  raise_unless_ok(status);
  FlatRle result = allocate_rle(lengths.data(), masks.size());
  std::int32_t* new_counts = result.first.mutable_data();
  const std::int64_t* new_offsets = result.second.data();
  {
    py::gil_scoped_release release;
    status = rle_pad(masks.batch(), height, width, padding, nullptr, new_offsets, new_counts,
                     num_threads);
  }
  raise_unless_ok(status);
  return result;
}

py::array_t<std::int64_t> matched_intersection(const py::array& a_counts,
                                               const py::array& a_offsets,
                                               const py::array& b_counts,
                                               const py::array& b_offsets, int num_threads) {
  const RleArrays a(a_counts, a_offsets, -1, "a");
  const RleArrays b(b_counts, b_offsets, a.size() > 0 ? a.num_pixels() : -1, "b");
  size(b_offsets, 0, a_offsets.shape(0), "b_offsets");
  py::array_t<std::int64_t> common(a.size());
  std::int64_t* data = common.mutable_data();
  Status status;
  {
    py::gil_scoped_release release;
    status = matched_rle_intersection(a.batch(), b.batch(), data, num_threads);
  }
  raise_unless_ok(status);
  return common;
}

}  // namespace

void bind_rle_morphology(py::module_& module) {
  module.def("rle_morphology", &morphology, py::arg("counts"), py::arg("offsets"),
             py::arg("height"), py::arg("width"), py::arg("radius"), py::arg("neighbourhood"),
             py::arg("erode"), py::arg("num_threads"));
  module.def("rle_complement", &complement, py::arg("counts"), py::arg("offsets"));
  module.def("rle_pad", &pad, py::arg("counts"), py::arg("offsets"), py::arg("height"),
             py::arg("width"), py::arg("left"), py::arg("top"), py::arg("right"),
             py::arg("bottom"), py::arg("num_threads"));
  module.def("matched_rle_intersection", &matched_intersection, py::arg("a_counts"),
             py::arg("a_offsets"), py::arg("b_counts"), py::arg("b_offsets"),
             py::arg("num_threads"));
}

}  // namespace geodet::bindings
