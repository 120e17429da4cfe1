// Numbers that are the same on every platform, which std::uniform_real_distribution is not.
#pragma once

#include <cstdint>

namespace geodet::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // Knuth's MMIX constants; the upper bits are the good ones.
  std::uint64_t bits() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return state_ >> 32;
  }

  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(bits()) / 4294967296.0;
  }

  std::int64_t below(std::int64_t count) {
    return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(count));
  }

 private:
  std::uint64_t state_;
};

}  // namespace geodet::test
