// Where a pixel reads a mask that fills a rotated box: the maths that CPU and CUDA kernels share.
//
// A rotated box is cx, cy, w, h, angle: pixels and degrees, counter-clockwise as seen on the
// screen. The mask's columns run along the width and its rows along the height, so that a pixel
// centre (x, y) lies at
//   u = (x - cx) cos - (y - cy) sin,   v = (x - cx) sin + (y - cy) cos
// in the box, which becomes cells as in paste_sampling.hpp. Positions are in double for every type
// of values: turning costs digits.
#pragma once

#include <cmath>
#include <cstdint>

#include "geodet/degrees.hpp"
#include "geodet/host_device.hpp"
#include "geodet/paste_sampling.hpp"

namespace geodet {

// Sum of the numbers of a box, in pixels.
constexpr double kFarthestPasteBox = 1e9;

struct PasteFrame {
  double cx, cy;
  double column_x, column_y, column_mid;  // mask columns per pixel; column of the centre
  double row_x, row_y, row_mid;
  double reach_x, reach_y;  // pixels from the centre within which the mask is read
  bool is_far;              // so that pixels are not told apart well enough to leave any out
  bool paints;              // false of a box without area or with a number that is not finite
};

template <typename T>
GEODET_HD inline PasteFrame paste_frame(const T* box, const PasteSizes& s) {
  const double cx = static_cast<double>(box[0]);
  const double cy = static_cast<double>(box[1]);
  const double w = static_cast<double>(box[2]);
  const double h = static_cast<double>(box[3]);
  const double degrees = static_cast<double>(box[4]);
  PasteFrame f{cx, cy, 0, 0, 0, 0, 0, 0, 0, 0, false, false};
  const double columns = static_cast<double>(s.mask_width);
  const double rows = static_cast<double>(s.mask_height);
  const double along_u = columns / w;
  const double along_v = rows / h;
  // A number less itself is 0 when it is finite and NaN otherwise.
  const double zero = (cx - cx) + (cy - cy) + (w - w) + (h - h) + (degrees - degrees) +
                      (along_u - along_u) + (along_v - along_v);
  if (!(zero == 0) || !(w > 0) || !(h > 0)) return f;
  const SinCos turn = full_turn_sin_cos(degrees);
  f.column_x = turn.cos * along_u;
  f.column_y = -turn.sin * along_u;
  f.column_mid = columns / 2 - 0.5;
  f.row_x = turn.sin * along_v;
  f.row_y = turn.cos * along_v;
  f.row_mid = rows / 2 - 0.5;
  const double half_u = w / 2 * (1 + 1 / columns);
  const double half_v = h / 2 * (1 + 1 / rows);
  f.reach_x = std::fabs(turn.cos) * half_u + std::fabs(turn.sin) * half_v;
  f.reach_y = std::fabs(turn.sin) * half_u + std::fabs(turn.cos) * half_v;
  f.is_far = !(std::fabs(cx) + std::fabs(cy) + w + h < kFarthestPasteBox);
  f.paints = true;
  return f;
}

// Is a pixel so far away that its value is 0? Spares most of the image the sine of paste_frame.
template <typename T>
GEODET_HD inline bool is_beyond_reach(const T* box, std::int64_t pixel_y, std::int64_t pixel_x) {
  const double sides = static_cast<double>(box[2]) + static_cast<double>(box[3]);
  const double reach = sides + 1;  // a mask is read at most half a box beyond the box
  const double x = static_cast<double>(pixel_x) - static_cast<double>(box[0]);
  const double y = static_cast<double>(pixel_y) - static_cast<double>(box[1]);
  return sides < kFarthestPasteBox && (std::fabs(x) > reach || std::fabs(y) > reach);
}

GEODET_HD GEODET_INLINE double mask_column(const PasteFrame& f, std::int64_t pixel_y,
                                           std::int64_t pixel_x) {
  const double x = static_cast<double>(pixel_x) + 0.5 - f.cx;
  const double y = static_cast<double>(pixel_y) + 0.5 - f.cy;
  return f.column_mid + (x * f.column_x + y * f.column_y);
}

GEODET_HD GEODET_INLINE double mask_row(const PasteFrame& f, std::int64_t pixel_y,
                                        std::int64_t pixel_x) {
  const double x = static_cast<double>(pixel_x) + 0.5 - f.cx;
  const double y = static_cast<double>(pixel_y) + 0.5 - f.cy;
  return f.row_mid + (x * f.row_x + y * f.row_y);
}

// Value of one image pixel of one mask in a frame that paints, 0 off the mask.
template <typename T>
GEODET_HD GEODET_INLINE T framed_value(const T* mask, const PasteFrame& f, const PasteSizes& s,
                                       std::int64_t pixel_y, std::int64_t pixel_x) {
  const double column = mask_column(f, pixel_y, pixel_x);
  const double row = mask_row(f, pixel_y, pixel_x);
  if (!is_on_mask(column, s.mask_width) || !is_on_mask(row, s.mask_height)) return T(0);
  const MaskTap<double> columns = mask_tap(column);
  const MaskTap<double> rows = mask_tap(row);
  return value_between(mask, s, MaskTap<T>{rows.low, static_cast<T>(rows.part)},
                       MaskTap<T>{columns.low, static_cast<T>(columns.part)});
}

// Pixels of [0, size) whose distance from `center` may be within `reach`.
GEODET_HD inline PixelRange pixels_within(double center, double reach, std::int64_t size) {
  const double limit = static_cast<double>(size);
  const double begin = std::floor(center - reach - 1);
  const double end = std::ceil(center + reach + 1);
  return {begin > 0 ? static_cast<std::int64_t>(begin < limit ? begin : limit) : 0,
          end < limit ? static_cast<std::int64_t>(end > 0 ? end : 0) : size};
}

// Columns of the image that may read the mask.
GEODET_HD inline PixelRange columns_near(const PasteFrame& f, const PasteSizes& s) {
  if (!f.paints) return {0, 0};
  return f.is_far ? PixelRange{0, s.width} : pixels_within(f.cx, f.reach_x, s.width);
}

// Rows of the image that may read the mask.
GEODET_HD inline PixelRange rows_near(const PasteFrame& f, const PasteSizes& s) {
  if (!f.paints) return {0, 0};
  return f.is_far ? PixelRange{0, s.height} : pixels_within(f.cy, f.reach_y, s.height);
}

// Part of `range` where an axis of the mask may be read along a line of pixels: its position is
// `first` at pixel 0 and changes by `slope` from pixel to pixel.
GEODET_HD inline PixelRange pixels_between(double first, double slope, std::int64_t cells,
                                           PixelRange range) {
  // In cells: a line that hardly moves is in or out as a whole.
  constexpr double kStill = 1e-3;
  const double limit = static_cast<double>(range.end);
  const double last = static_cast<double>(cells);
  if (!(std::fabs(slope) * limit > kStill)) {
    const bool away = first < -1 - 2 * kStill || first > last + 2 * kStill;
    return away ? PixelRange{range.begin, range.begin} : range;
  }
  const double a = (-1 - first) / slope;
  const double b = (last - first) / slope;
  const double begin = std::floor((a < b ? a : b) - 1);
  const double end = std::ceil((a < b ? b : a) + 2);
  if (begin > static_cast<double>(range.begin)) {
    range.begin = begin < limit ? static_cast<std::int64_t>(begin) : range.end;
  }
  if (end < limit) {
    const double floor = static_cast<double>(range.begin);
    range.end = end > floor ? static_cast<std::int64_t>(end) : range.begin;
  }
  return range;
}

// Pixels of a row of the image, within `xs`, that may read the mask.
GEODET_HD inline PixelRange pixels_in_row(const PasteFrame& f, const PasteSizes& s,
                                          std::int64_t pixel_y, const PixelRange& xs) {
  if (f.is_far) return xs;
  const PixelRange on_columns =
      pixels_between(mask_column(f, pixel_y, 0), f.column_x, s.mask_width, xs);
  return pixels_between(mask_row(f, pixel_y, 0), f.row_x, s.mask_height, on_columns);
}

// Pixels of a column of the image, within `ys`, that may read the mask.
GEODET_HD inline PixelRange pixels_in_column(const PasteFrame& f, const PasteSizes& s,
                                             std::int64_t pixel_x, const PixelRange& ys) {
  if (f.is_far) return ys;
  const PixelRange on_columns =
      pixels_between(mask_column(f, 0, pixel_x), f.column_y, s.mask_width, ys);
  return pixels_between(mask_row(f, 0, pixel_x), f.row_y, s.mask_height, on_columns);
}

}  // namespace geodet
