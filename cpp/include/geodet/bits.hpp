// Words of 64 bits as rows of pixels, the lowest bit first.
#pragma once

#include <cstdint>
#include <cstring>

#include "geodet/host_device.hpp"

namespace geodet {

constexpr std::int64_t kWordBits = 64;

GEODET_INLINE int count_ones(std::uint64_t word) {
#if defined(__GNUC__)
  return __builtin_popcountll(word);
#else
  int ones = 0;
  for (; word != 0; word &= word - 1) ++ones;
  return ones;
#endif
}

// Index of the lowest bit that is set; `word` is not 0.
GEODET_INLINE int lowest_one(std::uint64_t word) {
#if defined(__GNUC__)
  return __builtin_ctzll(word);
#else
  int index = 0;
  for (; (word & 1u) == 0; word >>= 1) ++index;
  return index;
#endif
}

// The first n bits, n from 0 to 64.
GEODET_INLINE std::uint64_t low_bits(std::int64_t n) {
  return n >= kWordBits ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
}

// Bit i from byte i of 64 bytes that are 0 or 1.
GEODET_INLINE std::uint64_t pack_bytes(const std::uint8_t* bytes) {
  std::uint64_t packed = 0;
  for (int k = 0; k < 8; ++k) {
    std::uint64_t eight;
    std::memcpy(&eight, bytes + 8 * k, sizeof(eight));  // little-endian, as all that we build for
    packed |= ((eight * 0x0102040810204080u) >> 56) << (8 * k);
  }
  return packed;
}

template <int kHalf>
GEODET_INLINE void transpose_step(std::uint64_t* rows, std::uint64_t mask) {
  for (int base = 0; base < 64; base += 2 * kHalf) {
    for (int k = base; k < base + kHalf; ++k) {
      const std::uint64_t moved = ((rows[k] >> kHalf) ^ rows[k + kHalf]) & mask;
      rows[k] ^= moved << kHalf;
      rows[k + kHalf] ^= moved;
    }
  }
}

// Swaps bit j of word i with bit i of word j, in place: quadrants, then quadrants of those.
GEODET_INLINE void transpose_bits(std::uint64_t* rows) {
  transpose_step<32>(rows, 0x00000000ffffffffu);
  transpose_step<16>(rows, 0x0000ffff0000ffffu);
  transpose_step<8>(rows, 0x00ff00ff00ff00ffu);
  transpose_step<4>(rows, 0x0f0f0f0f0f0f0f0fu);
  transpose_step<2>(rows, 0x3333333333333333u);
  transpose_step<1>(rows, 0x5555555555555555u);
}

}  // namespace geodet
