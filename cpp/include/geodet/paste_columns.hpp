// The CPU's way to paste: a few columns of the image at a time, each mask row first blended along
// x for those columns, so that what is left for every pixel is one blend of two plain rows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "geodet/host_device.hpp"
#include "geodet/paste_frame.hpp"
#include "geodet/paste_sampling.hpp"

namespace geodet {

// Painted pixels below which threads cost more than they save: about a millisecond.
constexpr std::int64_t kParallelPixels = 1 << 20;

// Pixels of [0, size) that read the mask; positions grow with the pixel.
template <typename T>
PixelRange pixels_on(const PasteAxis<T>& axis, std::int64_t cells, std::int64_t size) {
  PixelRange range = pixels_near(axis, cells, size);
  const auto reads = [&](std::int64_t pixel) {
    return is_on_mask(mask_position(axis, pixel, cells), cells);
  };
  while (range.begin < range.end && !reads(range.begin)) ++range.begin;
  while (range.begin < range.end && !reads(range.end - 1)) --range.end;
  return range;
}

inline bool can_use(const PasteSizes& s) {
  return s.masks >= 0 && s.mask_height > 0 && s.mask_width > 0 && s.mask_width < INT32_MAX - 2 &&
         s.mask_height < INT32_MAX - 2 && s.height >= 0 && s.width >= 0 &&
         (s.box_columns == kUprightColumns || s.box_columns == kRotatedColumns);
}

// Pixels that the masks may paint, over all of them.
template <typename T>
std::int64_t painted_pixels(const T* boxes, const PasteSizes& s) {
  std::int64_t pixels = 0;
  for (std::int64_t i = 0; i < s.masks; ++i) {
    const T* box = boxes + s.box_columns * i;
    PixelRange xs, ys;
    if (s.box_columns == kRotatedColumns) {
      const PasteFrame frame = paste_frame(box, s);
      xs = columns_near(frame, s);
      ys = rows_near(frame, s);
    } else {
      xs = pixels_near(PasteAxis<T>{box[0], box[2]}, s.mask_width, s.width);
      ys = pixels_near(PasteAxis<T>{box[1], box[3]}, s.mask_height, s.height);
    }
    pixels += (xs.end - xs.begin) * (ys.end - ys.begin);
  }
  return pixels;
}

// Values of scratch that blend_columns needs for `kCount` columns of one mask.
template <std::int64_t kCount>
std::int64_t column_values(const PasteSizes& s) {
  return (s.mask_height + 2) * kCount + s.mask_width + 2;
}

// Blends every row of the mask along x for `count` columns of the image from `begin` on. Row r of
// the mask is at scratch + (r + 1) * kCount; a row of zeros lies before the first and behind the
// last. Only the rows that image rows `ys` read are made.
template <std::int64_t kCount, typename T>
GEODET_INLINE void blend_columns(const T* mask, const PasteAxis<T>& x_axis,
                                 const PasteAxis<T>& y_axis, const PixelRange& ys,
                                 const PasteSizes& s, std::int64_t begin, std::int64_t count,
                                 T* __restrict scratch) {
  std::int32_t lows[kCount];
  T parts[kCount];
  for (std::int64_t x = 0; x < count; ++x) {
    const MaskTap<T> tap = mask_tap(mask_position(x_axis, begin + x, s.mask_width));
    lows[x] = static_cast<std::int32_t>(tap.low + 1);  // a zero lies before the first cell
    parts[x] = tap.part;
  }
  const std::int64_t first = mask_tap(mask_position(y_axis, ys.begin, s.mask_height)).low;
  const std::int64_t last = mask_tap(mask_position(y_axis, ys.end - 1, s.mask_height)).low + 1;
  T* __restrict cells = scratch + (s.mask_height + 2) * kCount;
  cells[0] = cells[s.mask_width + 1] = T(0);
  for (std::int64_t r = first; r <= last; ++r) {
    T* __restrict row = scratch + (r + 1) * kCount;
    if (r < 0 || r >= s.mask_height) {
      std::fill(row, row + count, T(0));
      continue;
    }
    std::copy(mask + r * s.mask_width, mask + (r + 1) * s.mask_width, cells + 1);
    for (std::int64_t x = 0; x < count; ++x) {
      row[x] = blend(cells[lows[x]], cells[lows[x] + 1], parts[x]);
    }
  }
}

}  // namespace geodet
