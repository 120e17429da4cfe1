// COCO's greedy matching of predictions to targets.
//
// Predictions and targets come in groups (an image, or one class of an image) that never meet.
// Within a group predictions take their turn in order, best score first. Each takes the target of
// highest similarity that is still free and reaches the threshold; targets that count go before
// ignored ones, and among equals the later one wins. A target serves one prediction, a crowd any
// number.
#pragma once

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet {

struct MatchSizes {
  std::int64_t groups, predictions, targets;
  std::int64_t similarities;  // sum over the groups of predictions * targets
  std::int64_t settings;      // rows of `ignored`, matched independently of each other
  std::int64_t thresholds;
};

struct MatchInput {
  const double* similarities;          // blocks [d, g], one after another; NaN never matches
  const std::int64_t* pred_offsets;    // [groups + 1], rising from 0 to `predictions`
  const std::int64_t* target_offsets;  // [groups + 1], rising from 0 to `targets`
  const bool* ignored;                 // [settings, targets]
  const bool* crowd;                   // [targets]
  const double* thresholds;            // [thresholds]; a pair matches at similarity >= threshold
};

// Bytes of scratch for the function below; -1 when `sizes` cannot be used.
std::int64_t match_scratch_bytes(const MatchSizes& sizes) noexcept;

// matches [settings, thresholds, predictions], overwritten: the row of the target, or -1.
// scratch: 8-byte aligned, overwritten.
// Offsets that are not as above, or that disagree with `similarities`, give kOutOfRange before
// anything is written.
Status match_greedily(const MatchInput& input, const MatchSizes& sizes, void* scratch,
                      std::int64_t* matches, int num_threads) noexcept;

namespace cuda {

// The same on device memory; offsets are trusted, since checking them would mean to wait for the
// device. taken [settings * thresholds * targets]: scratch, zeroed by the caller; block_offsets
// [groups]: where each block of similarities begins.
Status match_greedily(const MatchInput& input, const MatchSizes& sizes,
                      const std::int64_t* block_offsets, bool* taken, std::int64_t* matches,
                      void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
