// Where RoIAlign samples a feature map along one axis: the maths that CPU and CUDA kernels share.
//
// Both axes are alike and independent of each other: a sample outside the map on either axis is 0,
// so the mean over a cell is a product of one-dimensional weights.
#pragma once

#include <cmath>
#include <cstdint>

#include "geodet/host_device.hpp"

namespace geodet {

// Samples asked for by the caller; more is a mistake.
constexpr std::int64_t kMaxSamplingRatio = 1024;
// Samples per cell of the adaptive rule. Reached by cells 16 million pixels wide, where float can
// no longer count them.
constexpr std::int64_t kMaxAdaptiveSamples = 1 << 24;

// One axis of a roi in feature pixels: cells of length `cell` from `start`, each with `samples`
// samples at equal distances. samples = 0 where the roi is inverted, empty or not finite.
template <typename T>
struct RoiAxis {
  T start;
  T cell;
  std::int64_t samples;
};

template <typename T>
GEODET_HD inline bool is_finite(T value) {
  return value - value == T(0);
}

template <typename T>
GEODET_HD inline RoiAxis<T> axis_of(T start, T extent, std::int64_t cells,
                                    std::int64_t sampling_ratio) {
  if (!is_finite(start) || !is_finite(extent)) return {T(0), T(0), 0};
  const T cell = extent / static_cast<T>(cells);
  if (sampling_ratio > 0) return {start, cell, sampling_ratio};
  const T wanted = std::ceil(cell);
  if (!(wanted >= T(1))) return {start, cell, 0};
  const bool many = wanted >= static_cast<T>(kMaxAdaptiveSamples);
  return {start, cell, many ? kMaxAdaptiveSamples : static_cast<std::int64_t>(wanted)};
}

template <typename T>
GEODET_HD inline RoiAxis<T> roi_axis(T low, T high, T scale, bool aligned, std::int64_t cells,
                                     std::int64_t sampling_ratio) {
  const T offset = aligned ? T(0.5) : T(0);
  const T start = low * scale - offset;
  T extent = high * scale - offset - start;
  // The rule before half-pixel alignment: no roi is narrower than a pixel.
  if (!aligned && extent < T(1)) extent = T(1);
  return axis_of(start, extent, cells, sampling_ratio);
}

template <typename T>
GEODET_HD inline T sample_position(const RoiAxis<T>& axis, std::int64_t cell,
                                   std::int64_t sample) {
  return axis.start + static_cast<T>(cell) * axis.cell +
         (static_cast<T>(sample) + T(0.5)) * axis.cell / static_cast<T>(axis.samples);
}

// Samples reach one pixel beyond the first and the last pixel centre, and are clamped there.
template <typename T>
GEODET_HD inline bool is_inside(T position, std::int64_t size) {
  return position >= T(-1) && position <= static_cast<T>(size) && size > 0;
}

struct SampleRange {
  std::int64_t begin, end;
};

// Samples of a cell worth looking at. Large cells are searched for the part inside the map, so that
// the work is bounded by the map and not by the roi.
template <typename T>
GEODET_HD inline SampleRange sample_range(const RoiAxis<T>& axis, std::int64_t cell,
                                          std::int64_t size) {
  if (axis.samples <= kMaxSamplingRatio) return {0, axis.samples};
  // Only the adaptive rule takes so many samples, and then positions grow with the sample.
  std::int64_t bounds[2];
  const T limits[2] = {T(-1), static_cast<T>(size)};
  for (int side = 0; side < 2; ++side) {
    std::int64_t low = 0;
    std::int64_t high = axis.samples;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      const T position = sample_position(axis, cell, middle);
      const bool before = side == 0 ? position < limits[0] : position <= limits[1];
      if (before) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    bounds[side] = low;
  }
  return {bounds[0], bounds[1]};
}

// The two pixels that a sample inside the map reads, and their weights.
template <typename T>
struct Tap {
  std::int64_t low, high;
  T low_weight, high_weight;
};

template <typename T>
GEODET_HD inline Tap<T> tap_at(T position, std::int64_t size) {
  const T clamped = position > T(0) ? position : T(0);
  const auto low = static_cast<std::int64_t>(clamped);
  if (low >= size - 1) return {size - 1, size - 1, T(1), T(0)};
  const T part = clamped - static_cast<T>(low);
  return {low, low + 1, T(1) - part, part};
}

// Position of an image index that a roi holds as a number, or -1 when it is none.
template <typename T>
GEODET_HD inline std::int64_t image_index(T value, std::int64_t images) {
  if (!(value >= T(0) && value < static_cast<T>(images))) return -1;
  const auto index = static_cast<std::int64_t>(value);
  return static_cast<T>(index) == value ? index : -1;
}

}  // namespace geodet
