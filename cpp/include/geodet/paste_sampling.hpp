// Where a pasted pixel reads its mask: the maths that CPU and CUDA kernels share, so that both
// paint the same pixels.
#pragma once

#include <cmath>
#include <cstdint>

#include "geodet/host_device.hpp"

namespace geodet {

// One axis of a box. A box without area has no place for a mask.
template <typename T>
struct PasteAxis {
  T low, high;
};

template <typename T>
GEODET_HD inline bool can_paste(const PasteAxis<T>& axis) {
  const T extent = axis.high - axis.low;
  // The differences are 0 for finite numbers and NaN otherwise.
  return extent > T(0) && extent - extent == T(0) && axis.low - axis.low == T(0);
}

// Centre of an image pixel in mask cells, cell 0 having its centre at 0. By way of [-1, 1], in the
// steps of torch's grid_sample, so that roundings are the same.
template <typename T>
GEODET_HD inline T mask_position(const PasteAxis<T>& axis, std::int64_t pixel,
                                 std::int64_t cells) {
  const T unit =
      (static_cast<T>(pixel) + T(0.5) - axis.low) / (axis.high - axis.low) * T(2) - T(1);
  return ((unit + T(1)) * static_cast<T>(cells) - T(1)) / T(2);
}

// Does a position read any cell with a weight?
template <typename T>
GEODET_HD inline bool is_on_mask(T position, std::int64_t cells) {
  return position > T(-1) && position < static_cast<T>(cells);
}

// A position between cell `low` (-1 is the zero before the first) and the next.
template <typename T>
struct MaskTap {
  std::int64_t low;
  T part;  // of the next cell
};

template <typename T>
GEODET_HD inline MaskTap<T> mask_tap(T position) {
  const T floor = std::floor(position);
  return {static_cast<std::int64_t>(floor), position - floor};
}

template <typename T>
GEODET_HD inline T blend(T low, T high, T part) {
  return (T(1) - part) * low + part * high;
}

}  // namespace geodet
