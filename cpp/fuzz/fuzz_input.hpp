// What every fuzz target uses: typed values out of a string of bytes, and claims about results.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

// A property that holds for every input; a fuzzer reports the input that breaks it.
#define GEODET_FUZZ_REQUIRE(claim) \
  do {                             \
    if (!(claim)) std::abort();    \
  } while (false)

namespace geodet::fuzz {

// Reads values from the front of the input; zeros when it is used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}

  std::size_t left() const { return left_; }

  template <typename T>
  T value() {
    T result{};
    const std::size_t taken = std::min(left_, sizeof(T));
    if (taken > 0) std::memcpy(&result, data_, taken);
    data_ += taken;
    left_ -= taken;
    return result;
  }

  // A whole number from low to high, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    const auto count = static_cast<std::uint64_t>(high - low) + 1;
    return low + static_cast<std::int64_t>(value<std::uint32_t>() % count);
  }

  // Mostly a plain coordinate near the image, now and then any bit pattern of the type.
  template <typename T>
  T coordinate() {
    const auto kind = value<std::uint8_t>();
    if (kind < 32) return value<T>();
    return static_cast<T>(value<std::int16_t>()) / T(kind < 160 ? 64 : 1024);
  }

  template <typename T>
  std::vector<T> coordinates(std::int64_t count) {
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& each : values) each = coordinate<T>();
    return values;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

// Memory of exactly so many elements, so that AddressSanitizer sees one too many.
template <typename T>
std::vector<T> room(std::int64_t count) {
  return std::vector<T>(static_cast<std::size_t>(count));
}

}  // namespace geodet::fuzz
