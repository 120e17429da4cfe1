#include "geodet/matching.hpp"

#include "geodet/match_choice.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

// One thread a group, setting and threshold: predictions of a group take turns, the rest is
// independent.
__global__ void match_kernel(MatchInput input, MatchSizes s, const std::int64_t* block_offsets,
                             bool* taken, std::int64_t* matches) {
  const std::int64_t ways = s.settings * s.thresholds;
  for (std::int64_t item = first_item(); item < s.groups * ways; item += item_stride()) {
    const std::int64_t group = item / ways;
    const std::int64_t way = item % ways;
    const double threshold = input.thresholds[way % s.thresholds];
    const bool* ignored = input.ignored + way / s.thresholds * s.targets;
    const std::int64_t first = input.target_offsets[group];
    const std::int64_t last = input.target_offsets[group + 1];
    const double* row = input.similarities + block_offsets[group];
    for (std::int64_t p = input.pred_offsets[group]; p < input.pred_offsets[group + 1]; ++p) {
      MatchChoice best{-1, 0, false};
      for (std::int64_t t = first; t < last; ++t) {
        if (taken[way * s.targets + t]) continue;
        consider(best, t, row[t - first], ignored[t], threshold);
      }
      if (best.target >= 0) taken[way * s.targets + best.target] = !input.crowd[best.target];
      matches[way * s.predictions + p] = best.target;
      row += last - first;
    }
  }
}

}  // namespace

Status match_greedily(const MatchInput& input, const MatchSizes& s,
                      const std::int64_t* block_offsets, bool* taken, std::int64_t* matches,
                      void* stream) noexcept {
  if (s.groups < 0 || s.predictions < 0 || s.targets < 0 || s.settings < 0 || s.thresholds < 0) {
    return Status::kInvalidArgument;
  }
  const std::int64_t items = s.groups * s.settings * s.thresholds;
  if (items == 0) return Status::kOk;
  match_kernel<<<blocks_for(items), kThreads, 0, as_stream(stream)>>>(input, s, block_offsets,
                                                                      taken, matches);
  return launch_status();
}

}  // namespace geodet::cuda
