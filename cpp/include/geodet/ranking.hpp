// Stable orders of numbers by radix sort: equal numbers keep their index order, and the time does
// not depend on the data.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "geodet/status.hpp"

namespace geodet {

// Unsigned integer as wide as T.
template <typename T>
using BitsOf = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

// A number to sort by, made an unsigned key, and where it came from.
template <typename Key>
struct Ranked {
  Key key;
  Key index;
};

// Key that rises while the score falls. NaN counts as -infinity, -0 as 0.
template <typename T>
inline BitsOf<T> best_first_key(T score) {
  using Bits = BitsOf<T>;
  constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  const bool is_nan = !(score == score);
  const T plain = score == T(0) ? T(0) : score;
  Bits bits;
  std::memcpy(&bits, &plain, sizeof(bits));
  // Negative numbers rise with falling bits already; positive ones are turned round below them.
  const Bits rising = (bits & kSign) != 0 ? bits : Bits(~bits & ~kSign);
  return is_nan ? best_first_key(-std::numeric_limits<T>::infinity()) : rising;
}

// Bytes of scratch of rank_best_first for n scores of `element_size` bytes.
inline std::int64_t ranking_scratch_bytes(std::int64_t n, std::int64_t element_size) noexcept {
  return 4 * n * element_size;
}

// order [n]: indices of the scores by descending score, equal scores by index; NaN and -infinity
// come last. scratch: ranking_scratch_bytes(n, sizeof(element)), 8-byte aligned, overwritten.
// More than 2^32 single precision scores are refused.
Status rank_best_first(const float* scores, std::int64_t n, void* scratch,
                       std::int64_t* order) noexcept;
Status rank_best_first(const double* scores, std::int64_t n, void* scratch,
                       std::int64_t* order) noexcept;

// Sorts items by key, ascending and stable. scratch [n]; bytes that all keys share are skipped.
template <typename Key>
inline void sort_by_key(Ranked<Key>* items, Ranked<Key>* scratch, std::int64_t n) {
  constexpr int kPasses = sizeof(Key);
  std::int64_t counts[kPasses][256] = {};
  for (std::int64_t i = 0; i < n; ++i) {
    for (int pass = 0; pass < kPasses; ++pass) ++counts[pass][(items[i].key >> (8 * pass)) & 255u];
  }
  Ranked<Key>* source = items;
  Ranked<Key>* target = scratch;
  for (int pass = 0; pass < kPasses && n > 0; ++pass) {
    std::int64_t* starts = counts[pass];
    if (starts[(items[0].key >> (8 * pass)) & 255u] == n) continue;
    std::int64_t next = 0;
    for (int digit = 0; digit < 256; ++digit) next += std::exchange(starts[digit], next);
    for (std::int64_t i = 0; i < n; ++i) {
      target[starts[(source[i].key >> (8 * pass)) & 255u]++] = source[i];
    }
    std::swap(source, target);
  }
  if (source != items) std::memcpy(items, source, static_cast<std::size_t>(n) * sizeof(*items));
}

}  // namespace geodet
