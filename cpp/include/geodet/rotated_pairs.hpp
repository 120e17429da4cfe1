// All pairs of two tables of rotated boxes, and those among them that may overlap (CPU).
#pragma once

#include <cstdint>

#include "geodet/flagged.hpp"
#include "geodet/rotated.hpp"
#include "geodet/rotated_bounds.hpp"

namespace geodet {

// The boxes of one call, ready to be paired, in the caller's scratch.
struct RotatedPairs {
  RotatedRect* a;
  RotatedRect* b;
  UprightBoundsArrays bounds;  // of b
  std::int64_t n;
  std::int64_t m;
  double origin_x = 0;  // that bounds are relative to: the first box of a with an area
  double origin_y = 0;

  static std::int64_t scratch_bytes(std::int64_t n, std::int64_t m) {
    return (n + m) * static_cast<std::int64_t>(sizeof(RotatedRect)) +
           4 * m * static_cast<std::int64_t>(sizeof(float));
  }

  template <typename T>
  RotatedPairs(const T* a_rows, std::int64_t num_a, const T* b_rows, std::int64_t num_b,
               void* scratch)
      : n(num_a), m(num_b) {
    a = static_cast<RotatedRect*>(scratch);
    b = a + n;
    auto* values = reinterpret_cast<float*>(b + m);
    bounds = {values, values + m, values + 2 * m, values + 3 * m};
    for (std::int64_t i = n; i-- > 0;) {
      a[i] = make_rotated_rect(a_rows + 5 * i);
      if (!covers_something(a[i])) continue;
      origin_x = a[i].cx;
      origin_y = a[i].cy;
    }
    for (std::int64_t j = 0; j < m; ++j) {
      b[j] = make_rotated_rect(b_rows + 5 * j);
      bounds.set(j, upright_bounds(b[j], origin_x, origin_y));
    }
  }

  // Calls visit(j) in order for every box of b whose bounds meet those of box i of a. All others
  // overlap it by nothing.
  template <typename Visit>
  void for_each_near(std::int64_t i, Visit&& visit) const {
    if (!covers_something(a[i])) return;
    const UprightBounds row = upright_bounds(a[i], origin_x, origin_y);
    const auto meets = [&](std::int64_t first, std::int64_t count, std::uint8_t* flags) {
      flag_meeting(row, bounds, first, count, flags);
    };
    for_each_flagged(0, m, meets, visit);
  }

  // How many pairs of a row are near, judged by some rows.
  double near_per_row() const {
    const std::int64_t step = n / 8 + 1;
    std::int64_t rows = 0;
    std::int64_t near = 0;
    for (std::int64_t i = step / 2; i < n; i += step) {
      for_each_near(i, [&](std::int64_t) { ++near; });
      ++rows;
    }
    return rows > 0 ? static_cast<double>(near) / static_cast<double>(rows) : 0;
  }
};

// What pairs cost, in nanoseconds: one whose bounds are tested, one whose overlap is computed, and
// one that needs a hull.
constexpr double kTestCost = 0.3;
constexpr double kPairCost = 50;
constexpr double kHullCost = 400;

// Items to give a thread at once: enough to be worth waking it, and all where the whole is not.
inline std::int64_t range_size(std::int64_t count, double nanoseconds_each) {
  constexpr double kWorthThreads = 1e6;
  constexpr double kWorthRange = 2e5;
  if (static_cast<double>(count) * nanoseconds_each < kWorthThreads) return count;
  return static_cast<std::int64_t>(kWorthRange / nanoseconds_each) + 1;
}

}  // namespace geodet
