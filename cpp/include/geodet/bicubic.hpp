// Bicubic resizing with a = -0.75, cell centres at .5 and the border repeated: where an output cell
// reads and with which weights. This is torch's interpolate(mode="bicubic", align_corners=False).
#pragma once

#include <cmath>
#include <cstdint>

#include "geodet/host_device.hpp"

namespace geodet {

// Weights of cells first, first + 1, first + 2, first + 3 of the input.
template <typename T>
struct CubicTap {
  std::int64_t first;
  T weights[4];
};

// Position of an output cell's centre between the centres of input cells: -0.5 to inputs - 0.5.
template <typename T>
GEODET_HD GEODET_INLINE T cubic_position(std::int64_t output, std::int64_t inputs,
                                         std::int64_t outputs) {
  const T scale = static_cast<T>(inputs) / static_cast<T>(outputs);
  return scale * (static_cast<T>(output) + T(0.5)) - T(0.5);
}

// The cell whose centre lies at or before the position, -1 to inputs - 1; grows with the output.
template <typename T>
GEODET_HD GEODET_INLINE std::int64_t cubic_cell(T position, std::int64_t inputs) {
  const auto cell = static_cast<std::int64_t>(std::floor(position));
  return cell < inputs ? cell : inputs - 1;
}

template <typename T>
GEODET_HD GEODET_INLINE T cubic_near(T x) {  // |x| <= 1
  return (T(1.25) * x - T(2.25)) * x * x + T(1);
}

template <typename T>
GEODET_HD GEODET_INLINE T cubic_far(T x) {  // 1 <= |x| <= 2
  return ((T(-0.75) * x + T(3.75)) * x - T(6)) * x + T(3);
}

template <typename T>
GEODET_HD GEODET_INLINE CubicTap<T> cubic_tap(std::int64_t output, std::int64_t inputs,
                                              std::int64_t outputs) {
  const T position = cubic_position<T>(output, inputs, outputs);
  const std::int64_t cell = cubic_cell(position, inputs);
  const T part = position - static_cast<T>(cell);
  return {cell - 1,
          {cubic_far(part + T(1)), cubic_near(part), cubic_near(T(1) - part),
           cubic_far(T(2) - part)}};
}

GEODET_HD GEODET_INLINE std::int64_t clamp_cell(std::int64_t cell, std::int64_t inputs) {
  return cell < 0 ? 0 : (cell < inputs ? cell : inputs - 1);
}

template <typename T>
GEODET_HD GEODET_INLINE T cubic_blend(const T* values, const T* weights) {
  return values[0] * weights[0] + values[1] * weights[1] + values[2] * weights[2] +
         values[3] * weights[3];
}

// What a blend of 4 x 4 cells cannot exceed, given their lowest and highest and the highest of the
// inner 2 x 2. Along one axis the outer weights are negative and add up to -n, n <= 3/16. So inner
// cells weigh (1 + n)(1 + n') together, the four corners n n' and the other outer cells the rest
// of 1, which is negative: at least -2 * 3/16 * 19/16.
template <typename T>
GEODET_HD GEODET_INLINE T cubic_bound(T lowest, T inner, T highest) {
  return inner + T(0.4453125) * (inner - lowest) + T(0.03515625) * (highest - inner);
}

// Rounding of a blend in units of the last digit of its largest cell, with room to spare.
constexpr double kCubicRounding = 64;

}  // namespace geodet
