// Pairs of rotated boxes, collected until there are enough for vector code.
#pragma once

#include <cstdint>

#include "geodet/host_device.hpp"
#include "geodet/rotated.hpp"

namespace geodet {

constexpr std::int64_t kRotatedBatch = 128;

// One array a number of RotatedPair, and where each result goes.
struct RotatedBatch {
  double dx[kRotatedBatch], dy[kRotatedBatch];
  double sin[kRotatedBatch], cos[kRotatedBatch], turn[kRotatedBatch];
  double half_w1[kRotatedBatch], half_h1[kRotatedBatch];
  double half_w2[kRotatedBatch], half_h2[kRotatedBatch];
  double unit[kRotatedBatch];
  std::int64_t target[kRotatedBatch];
  double area[kRotatedBatch];  // shared area of each pair, in its unit
  std::int64_t count = 0;

  bool full() const { return count == kRotatedBatch; }

  void add(const RotatedRect& a, const RotatedRect& b, std::int64_t where) {
    const bool ordered = comes_first(a, b);
    const RotatedRect& first = ordered ? a : b;
    const RotatedRect& second = ordered ? b : a;
    const double size = pair_unit(first, second);
    const RotatedPair pair = make_rotated_pair(first, second, size);
    const std::int64_t k = count++;
    dx[k] = pair.dx;
    dy[k] = pair.dy;
    sin[k] = pair.sin;
    cos[k] = pair.cos;
    turn[k] = pair.turn;
    half_w1[k] = pair.half_w1;
    half_h1[k] = pair.half_h1;
    half_w2[k] = pair.half_w2;
    half_h2[k] = pair.half_h2;
    unit[k] = size;
    target[k] = where;
  }

  GEODET_INLINE RotatedPair pair(std::int64_t k) const {
    return {dx[k],      dy[k],      sin[k],     cos[k],    turn[k],
            half_w1[k], half_h1[k], half_w2[k], half_h2[k]};
  }
};

// Fills `area`; the same bits as intersection_area of each pair.
void intersect(RotatedBatch& batch) noexcept;

}  // namespace geodet
