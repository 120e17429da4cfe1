// Checked views of a flat batch of run lengths, and flat batches to give back.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "geodet/rle.hpp"
#include "rle_fault.hpp"

namespace geodet::bindings {

// Pixels of masks of a height and width, when masks may have so many.
inline std::int64_t pixels_of(std::int64_t height, std::int64_t width) {
  if (height < 0 || width < 0 || (width > 0 && height > kMaxMaskPixels / width)) {
    throw py::value_error("height, width: expected 0 to 2^31 - 1 pixels, got " +
                          std::to_string(height) + " x " + std::to_string(width));
  }
  return height * width;
}

// A batch whose offsets, run lengths and sums were checked. num_pixels -1: whatever the first
// mask has.
class RleArrays {
 public:
  RleArrays(const py::array& counts, const py::array& offsets, std::int64_t num_pixels,
            const char* name = "") {
    batch_.counts = read<std::int32_t>(counts, 1, "counts");
    batch_.offsets = read<std::int64_t>(offsets, 1, "offsets");
    if (offsets.shape(0) < 1) throw py::value_error("offsets: expected at least one element");
    batch_.size = offsets.shape(0) - 1;
    num_counts_ = counts.shape(0);
    const RleReport report = rle_check(batch_, num_counts_, num_pixels);
    raise_unless_sound(report, name);
    num_pixels_ = report.num_pixels;
  }

  RleBatch batch() const { return batch_; }
  std::int64_t size() const { return batch_.size; }
  std::int64_t num_counts() const { return num_counts_; }
  std::int64_t num_pixels() const { return num_pixels_; }

 private:
  RleBatch batch_{};
  std::int64_t num_counts_ = 0;
  std::int64_t num_pixels_ = 0;
};

// Uninitialised memory: only what is used of it is ever touched.
template <typename T>
class Buffer {
 public:
  explicit Buffer(std::int64_t size)
      : data_(new T[static_cast<std::size_t>(std::max<std::int64_t>(size, 1))]) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { delete[] data_; }

  T* data() { return data_; }
  T& operator[](std::int64_t i) { return data_[i]; }

 private:
  T* data_;
};

using FlatRle = std::pair<py::array_t<std::int32_t>, py::array_t<std::int64_t>>;

// New arrays for masks of `lengths [n]` runs; offsets are filled in.
inline FlatRle allocate_rle(const std::int64_t* lengths, std::int64_t n) {
  py::array_t<std::int64_t> offsets(n + 1);
  std::int64_t* data = offsets.mutable_data();
  data[0] = 0;
  for (std::int64_t i = 0; i < n; ++i) data[i + 1] = data[i] + lengths[i];
  py::array_t<std::int32_t> counts(data[n]);
  return {std::move(counts), std::move(offsets)};
}

// New arrays from masks that lie apart: mask i's runs begin at slots + slot(i).
template <typename Slot>
FlatRle gather_rle(const std::int32_t* slots, const std::int64_t* lengths, std::int64_t n,
                   Slot&& slot) {
  FlatRle gathered = allocate_rle(lengths, n);
  std::int32_t* counts = gathered.first.mutable_data();
  const std::int64_t* offsets = gathered.second.data();
  for (std::int64_t i = 0; i < n; ++i) {
    std::memcpy(counts + offsets[i], slots + slot(i),
                static_cast<std::size_t>(lengths[i]) * sizeof(std::int32_t));
  }
  return gathered;
}

}  // namespace geodet::bindings
