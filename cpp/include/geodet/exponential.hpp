// exp(x) from additions and multiplications alone: loops over it become vector code, and the CPU
// and the GPU give equal bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "geodet/host_device.hpp"

namespace geodet {

template <typename T>
struct ExpConstants;

// x = n ln2 + r with |r| <= ln2 / 2; ln2 in two parts, the first of few bits so that n ln2_high is
// exact. kTerms of exp's series leave less than half a unit of the last digit at r.
template <>
struct ExpConstants<float> {
  using Bits = std::int32_t;
  static constexpr int kMantissa = 23, kBias = 127, kTerms = 7;
  static constexpr float kLowest = -87.0f, kHighest = 88.0f;
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  static constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers
};

template <>
struct ExpConstants<double> {
  using Bits = std::int64_t;
  static constexpr int kMantissa = 52, kBias = 1023, kTerms = 13;
  static constexpr double kLowest = -708.0, kHighest = 709.0;
  static constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
  static constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52
};

// Within 2 units of the last digit; 0 below kLowest, infinite above kHighest. x is no NaN.
template <typename T>
GEODET_HD GEODET_INLINE T exponential(T x) {
  using C = ExpConstants<T>;
  const T clamped = x < C::kLowest ? C::kLowest : (x > C::kHighest ? C::kHighest : x);
  const T shifted = clamped * static_cast<T>(1.44269504088896340736) + C::kShift;
  const T whole = shifted - C::kShift;
  const T rest = (clamped - whole * C::kLn2High) - whole * C::kLn2Low;
  T sum = T(1);
  for (int term = C::kTerms; term > 0; --term) sum = sum * rest * (T(1) / T(term)) + T(1);
  // The low bits of `shifted` hold the whole number; it goes into the exponent.
  typename C::Bits bits, offset;
  const T shift = C::kShift;
  std::memcpy(&bits, &shifted, sizeof(bits));
  std::memcpy(&offset, &shift, sizeof(offset));
  bits = static_cast<typename C::Bits>(
      static_cast<typename C::Bits>(bits - offset + C::kBias) << C::kMantissa);
  T scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  const T value = sum * scale;
  return x < C::kLowest ? T(0) : (x > C::kHighest ? std::numeric_limits<T>::infinity() : value);
}

}  // namespace geodet
