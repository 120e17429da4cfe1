// Few among many: a cheap test that vectorises, then work on those that pass it.
#pragma once

#include <cstdint>
#include <cstring>

namespace geodet {

// Items tested at once; a multiple of 8.
constexpr std::int64_t kFlagBlock = 64;

// Calls visit(i) in order for each i in [begin, end) that passes.
//   test(first, count, flags): flags[k] = 1 where item first + k passes, else 0, for k < count,
//   which is at most kFlagBlock.
template <typename Test, typename Visit>
inline void for_each_flagged(std::int64_t begin, std::int64_t end, Test&& test, Visit&& visit) {
  std::uint8_t flags[kFlagBlock] = {};
  for (std::int64_t first = begin; first < end; first += kFlagBlock) {
    const std::int64_t count = end - first < kFlagBlock ? end - first : kFlagBlock;
    test(first, count, flags);
    for (std::int64_t k = 0; k < count; k += 8) {
      std::uint64_t eight;
      std::memcpy(&eight, flags + k, sizeof(eight));
      if (eight == 0) continue;
      const std::int64_t last = count - k < 8 ? count : k + 8;
      for (std::int64_t lane = k; lane < last; ++lane) {
        if (flags[lane] != 0) visit(first + lane);
      }
    }
  }
}

}  // namespace geodet
