// Blocks of kLanes x kLanes numbers, transposed in registers.
#pragma once

#include <cstdint>

#include "geodet/lanes.hpp"

namespace geodet {

// target[j * target_stride + i] = source[i * source_stride + j] for i and j in [0, kLanes).
template <typename T>
GEODET_INLINE void transpose_lanes(const T* source, std::int64_t source_stride, T* target,
                                   std::int64_t target_stride) {
#if defined(__GNUC__) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define GEODET_SHUFFLES
#endif
#endif
#if defined(GEODET_SHUFFLES)
  using Values = typename Lanes<T>::Values;
  static_assert(kLanes == 8, "the shuffles below are for eight lanes");
  Lanes<T> rows[8];
  for (int i = 0; i < 8; ++i) rows[i].load(source + i * source_stride);
  Values pairs[8];  // pairs of neighbours among the rows
  for (int i = 0; i < 8; i += 2) {
    const Values a = rows[i].values;
    const Values b = rows[i + 1].values;
    pairs[i] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
  }
  Values fours[8];  // columns 0 and 4, 1 and 5, 2 and 6, 3 and 7 of four rows each
  for (int i = 0; i < 8; i += 4) {
    for (int k = 0; k < 2; ++k) {
      const Values a = pairs[i + k];
      const Values b = pairs[i + k + 2];
      fours[i + 2 * k] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
      fours[i + 2 * k + 1] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int j = 0; j < 4; ++j) {
    Lanes<T> column;
    column.values = __builtin_shufflevector(fours[j], fours[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    column.store(target + j * target_stride);
    column.values = __builtin_shufflevector(fours[j], fours[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    column.store(target + (j + 4) * target_stride);
  }
#else
  for (std::int64_t i = 0; i < kLanes; ++i) {
    for (std::int64_t j = 0; j < kLanes; ++j) {
      target[j * target_stride + i] = source[i * source_stride + j];
    }
  }
#endif
}

}  // namespace geodet
