// Which of two targets a prediction prefers; shared by the CPU and the GPU.
#pragma once

#include <cstdint>

#include "geodet/host_device.hpp"

namespace geodet {

// The best target so far of one prediction, at one threshold.
struct MatchChoice {
  std::int64_t target;  // -1: none yet
  double similarity;
  bool ignored;
};

// Offers the targets in the order of their rows, so that the later of two equals wins.
GEODET_HD inline void consider(MatchChoice& best, std::int64_t target, double similarity,
                               bool ignored, double threshold) {
  if (!(similarity >= threshold)) return;
  const bool better = best.target < 0 || (best.ignored == ignored ? similarity >= best.similarity
                                                                  : best.ignored);
  if (better) best = {target, similarity, ignored};
}

}  // namespace geodet
