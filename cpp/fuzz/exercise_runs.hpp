// Everything that can be asked of a sound batch of run lengths, with what must come out.
#pragma once

#include <cstdint>
#include <vector>

#include "fuzz_input.hpp"
#include "geodet/rle.hpp"

namespace geodet::fuzz {

struct OwnedRuns {
  std::vector<std::int32_t> counts;
  std::vector<std::int64_t> offsets{0};

  RleBatch batch() const {
    return {counts.data(), offsets.data(), static_cast<std::int64_t>(offsets.size()) - 1};
  }
};

// Checks measures, overlap, algebra, moves, text and dense masks of a batch that rle_check found
// sound and whose masks have height * width pixels.
void exercise_runs(const OwnedRuns& masks, std::int64_t height, std::int64_t width, Input& input);

}  // namespace geodet::fuzz
