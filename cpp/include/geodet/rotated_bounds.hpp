// Upright bounds of rotated boxes in single precision, widened so that they miss no overlap: what
// most pairs are rejected by, eight at a time.
#pragma once

#include <cstdint>

#include "geodet/host_device.hpp"
#include "geodet/rotated.hpp"

namespace geodet {

struct UprightBounds {
  float x1, y1, x2, y2;
};

// One array a side, so that tests against many vectorise.
struct UprightBoundsArrays {
  float* x1;
  float* y1;
  float* x2;
  float* y2;

  void set(std::int64_t i, const UprightBounds& bounds) const {
    x1[i] = bounds.x1;
    y1[i] = bounds.y1;
    x2[i] = bounds.x2;
    y2[i] = bounds.y2;
  }
};

namespace detail {

inline float to_float(double value) {
  constexpr double kMost = 3e38;  // nothing becomes infinite: inf - inf would hide an overlap
  return static_cast<float>(value < -kMost ? -kMost : (value > kMost ? kMost : value));
}

}  // namespace detail

// Relative to an origin near the boxes, or single precision would make the bounds too wide to
// reject anything. A box that covers nothing has bounds that meet none.
inline UprightBounds upright_bounds(const RotatedRect& rect, double origin_x, double origin_y) {
  if (!covers_something(rect)) return {3e38f, 3e38f, -3e38f, -3e38f};
  const double sin = rect.sin < 0 ? -rect.sin : rect.sin;
  const double cos = rect.cos < 0 ? -rect.cos : rect.cos;
  const double x = rect.cx - origin_x;
  const double y = rect.cy - origin_y;
  const double half_x = rect.half_w * cos + rect.half_h * sin;
  const double half_y = rect.half_w * sin + rect.half_h * cos;
  // Twice what rounding to single precision can take away.
  constexpr double kSlack = 1.0 / (1 << 22);
  const double wide_x = half_x + ((x < 0 ? -x : x) + half_x) * kSlack;
  const double wide_y = half_y + ((y < 0 ? -y : y) + half_y) * kSlack;
  return {detail::to_float(x - wide_x), detail::to_float(y - wide_y),
          detail::to_float(x + wide_x), detail::to_float(y + wide_y)};
}

// flags[k] = 1 where the bounds of column first + k meet those of the row, else 0, for k < count.
void flag_meeting(const UprightBounds& row, const UprightBoundsArrays& columns, std::int64_t first,
                  std::int64_t count, std::uint8_t* flags) noexcept;

}  // namespace geodet
