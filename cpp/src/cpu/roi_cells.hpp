// Which pixels the cells of a roi read, and with which weights: the samples of a cell merged into
// one weight a pixel, so that applying a cell costs as much as it has pixels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "geodet/host_device.hpp"
#include "geodet/roi_align.hpp"
#include "geodet/roi_sampling.hpp"
#include "geodet/rotated_roi.hpp"

namespace geodet {

// A pixel of a plane, counted row by row, and its weight in the mean of a cell.
template <typename T>
struct PixelTap {
  std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t> pixel;
  T weight;
};

// Part of the map that a cell reads.
struct Window {
  std::int64_t top, left, height, width;
};

// Pixels that `samples` positions between low and high can read along one axis, at most.
template <typename T>
inline std::int64_t pixels_between(T low, T high, T slack, std::int64_t size) {
  const double reach = static_cast<double>(high) - static_cast<double>(low) +
                       2.0 * static_cast<double>(slack) + 3.0;
  return reach < static_cast<double>(size) ? static_cast<std::int64_t>(reach) : size;
}

// First pixel that a position of at least `low` can read, inside the map.
template <typename T>
inline std::int64_t first_pixel(T low, T slack, std::int64_t size) {
  const double first = std::floor(static_cast<double>(low) - static_cast<double>(slack));
  return first > 0.0 ? std::min(static_cast<std::int64_t>(first), size - 1) : 0;
}

// Cells of an upright roi: the weight of a pixel is the weight of its row times that of its column.
template <typename T>
class UprightCells {
 public:
  static constexpr std::int64_t kColumns = 5;

  UprightCells(const T* roi, const RoiAlignSizes& s)
      : height_(s.height),
        width_(s.width),
        x_(roi_axis(roi[1], roi[3], static_cast<T>(s.spatial_scale), s.aligned, s.out_width,
                    s.sampling_ratio)),
        y_(roi_axis(roi[2], roi[4], static_cast<T>(s.spatial_scale), s.aligned, s.out_height,
                    s.sampling_ratio)) {
    // Without a sample on one axis there is none at all.
    if (x_.samples == 0 || y_.samples == 0) x_.samples = y_.samples = 0;
    room_x_ = span(x_, s.out_width, s.width);
    room_y_ = span(y_, s.out_height, s.height);
  }

  // Taps that a cell needs room for, at most.
  std::int64_t room() const {
    if (x_.samples == 0) return 0;
    // One row and column more: the weights of the axes stand there.
    return (room_y_ + 1) * (room_x_ + 1);
  }

  // Writes the taps of a cell, by ascending pixel; returns how many.
  std::int64_t taps(std::int64_t cell_y, std::int64_t cell_x, PixelTap<T>* taps) const {
    if (x_.samples == 0) return 0;
    T* rows = reinterpret_cast<T*>(taps + room_y_ * room_x_);
    T* columns = rows + room_y_;
    const Pixels y = weigh(y_, cell_y, height_, room_y_, rows);
    const Pixels x = weigh(x_, cell_x, width_, room_x_, columns);
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < y.count; ++i) {
      for (std::int64_t j = 0; j < x.count; ++j) {
        const T weight = rows[i] * columns[j];
        const std::int64_t pixel = (y.first + i) * width_ + x.first + j;
        taps[count] = {static_cast<decltype(taps->pixel)>(pixel), weight};
        count += weight != T(0) ? 1 : 0;
      }
    }
    return count;
  }

 private:
  struct Pixels {
    std::int64_t first, count;
  };

  // Pixels that a cell reads along an axis, at most.
  static std::int64_t span(const RoiAxis<T>& axis, std::int64_t cells, std::int64_t size) {
    const T end = axis.start + static_cast<T>(cells) * axis.cell;
    const T slack = T(16) * std::numeric_limits<T>::epsilon() *
                    (std::fabs(axis.start) + std::fabs(end));
    return pixels_between(T(0), std::fabs(axis.cell), slack, size);
  }

  // Weights of the pixels that a cell reads along an axis.
  static Pixels weigh(const RoiAxis<T>& axis, std::int64_t cell, std::int64_t size,
                      std::int64_t room, T* weights) {
    const SampleRange range = sample_range(axis, cell, size);
    std::int64_t first = size;
    std::int64_t last = -1;
    for (std::int64_t sample = range.begin; sample < range.end; ++sample) {
      const T position = sample_position(axis, cell, sample);
      if (!is_inside(position, size)) continue;
      const Tap<T> tap = tap_at(position, size);
      first = std::min(first, tap.low);
      last = std::max(last, tap.high);
    }
    // Memory safety does not rest on the roundings of positions.
    const std::int64_t count = std::clamp<std::int64_t>(last - first + 1, 0, room);
    std::fill(weights, weights + count, T(0));
    for (std::int64_t sample = range.begin; sample < range.end; ++sample) {
      const T position = sample_position(axis, cell, sample);
      if (!is_inside(position, size)) continue;
      const Tap<T> tap = tap_at(position, size);
      if (tap.high - first >= count) continue;
      weights[tap.low - first] += tap.low_weight;
      weights[tap.high - first] += tap.high_weight;
    }
    for (std::int64_t k = 0; k < count; ++k) weights[k] /= static_cast<T>(axis.samples);
    return {first, count};
  }

  std::int64_t height_, width_;
  RoiAxis<T> x_, y_;
  std::int64_t room_x_ = 0, room_y_ = 0;
};

template <typename T>
class RotatedCells {
 public:
  static constexpr std::int64_t kColumns = kRotatedRoiColumns;

  RotatedCells(const T* roi, const RoiAlignSizes& s)
      : map_{s.height, s.width},
        roi_(rotated_roi(roi, static_cast<T>(s.spatial_scale), s.out_width, s.out_height,
                         s.sampling_ratio)) {
    const T u = spread(roi_.u);
    const T v = spread(roi_.v);
    extent_x_ = std::fabs(u * roi_.cosine) + std::fabs(v * roi_.sine);
    extent_y_ = std::fabs(u * roi_.sine) + std::fabs(v * roi_.cosine);
  }

  // Taps that a cell needs room for, at most.
  std::int64_t room() const {
    if (roi_.u.samples == 0) return 0;
    return pixels_between(T(0), extent_y_, roi_.slack, map_.height) *
           pixels_between(T(0), extent_x_, roi_.slack, map_.width);
  }

  // Writes the taps of a cell, by ascending pixel; returns how many.
  std::int64_t taps(std::int64_t cell_v, std::int64_t cell_u, PixelTap<T>* taps) const {
    if (room() == 0) return 0;
    const Window window = window_of(cell_v, cell_u);
    const std::int64_t pixels = window.height * window.width;
    // Weights are summed in the second half of the taps' own memory: tap k is written over weights
    // that were read before it, since a tap is twice as large as a weight.
    static_assert(sizeof(PixelTap<T>) == 2 * sizeof(T), "the weights fill half of the taps");
    T* weights = reinterpret_cast<T*>(taps) + pixels;
    std::fill(weights, weights + pixels, T(0));
    const T mean = T(1) / (static_cast<T>(roi_.u.samples) * static_cast<T>(roi_.v.samples));
    visit_rotated_samples(roi_, cell_v, cell_u, map_, [&](const Tap<T>& row, const Tap<T>& column) {
      if (!holds(window, row, column)) return;
      T* low = weights + (row.low - window.top) * window.width - window.left;
      T* high = weights + (row.high - window.top) * window.width - window.left;
      low[column.low] += row.low_weight * column.low_weight;
      low[column.high] += row.low_weight * column.high_weight;
      high[column.low] += row.high_weight * column.low_weight;
      high[column.high] += row.high_weight * column.high_weight;
    });
    std::int64_t count = 0;
    for (std::int64_t y = 0; y < window.height; ++y) {
      const std::int64_t first = (window.top + y) * map_.width + window.left;
      for (std::int64_t x = 0; x < window.width; ++x) {
        T weight;
        std::memcpy(&weight, weights + y * window.width + x, sizeof(weight));
        const PixelTap<T> tap{static_cast<decltype(tap.pixel)>(first + x), weight * mean};
        std::memcpy(taps + count, &tap, sizeof(tap));
        count += weight != T(0) ? 1 : 0;
      }
    }
    return count;
  }

 private:
  // Length between the first and the last sample of a cell.
  static T spread(const RoiAxis<T>& axis) {
    return axis.samples == 0 ? T(0)
                             : axis.cell * (T(1) - T(1) / static_cast<T>(axis.samples));
  }

  // Memory safety does not rest on the roundings of positions.
  static bool holds(const Window& w, const Tap<T>& row, const Tap<T>& column) {
    return row.low >= w.top && row.high < w.top + w.height && column.low >= w.left &&
           column.high < w.left + w.width;
  }

  Window window_of(std::int64_t cell_v, std::int64_t cell_u) const {
    const T u = sample_position(roi_.u, cell_u, std::int64_t{0}) + spread(roi_.u) / T(2);
    const T v = sample_position(roi_.v, cell_v, std::int64_t{0}) + spread(roi_.v) / T(2);
    const T left = rotated_x(roi_, u, v) - extent_x_ / T(2);
    const T top = rotated_y(roi_, u, v) - extent_y_ / T(2);
    Window window{first_pixel(top, roi_.slack, map_.height),
                  first_pixel(left, roi_.slack, map_.width), 0, 0};
    window.height = std::min(pixels_between(T(0), extent_y_, roi_.slack, map_.height),
                             map_.height - window.top);
    window.width = std::min(pixels_between(T(0), extent_x_, roi_.slack, map_.width),
                            map_.width - window.left);
    return window;
  }

  MapSize map_;
  RotatedRoi<T> roi_;
  T extent_x_, extent_y_;  // of the samples of a cell
};

}  // namespace geodet
