// Eight numbers that are added and multiplied together, where a compiler left to itself would
// turn the wrong loop into vector code.
#pragma once

#include <cstdint>
#include <cstring>

#include "geodet/host_device.hpp"

namespace geodet {

constexpr std::int64_t kLanes = 8;

template <typename T>
struct Lanes {
#if defined(__GNUC__)
  // Split by the compiler into what the processor has.
  typedef T Values __attribute__((vector_size(kLanes * sizeof(T))));
  Values values;

  GEODET_INLINE void add_scaled(T factor, const T* source) {
    Values other;
    std::memcpy(&other, source, sizeof(other));
    values += factor * other;
  }

  GEODET_INLINE void add(const Lanes& other) { values += other.values; }
#else
  T values[kLanes];

  GEODET_INLINE void add_scaled(T factor, const T* source) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) values[lane] += factor * source[lane];
  }

  GEODET_INLINE void add(const Lanes& other) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) values[lane] += other.values[lane];
  }
#endif

  GEODET_INLINE void load(const T* source) { std::memcpy(&values, source, sizeof(values)); }
  GEODET_INLINE void store(T* target) const { std::memcpy(target, &values, sizeof(values)); }
};

}  // namespace geodet
