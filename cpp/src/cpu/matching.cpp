#include "geodet/matching.hpp"

#include <algorithm>
#include <cstring>

#include "geodet/match_choice.hpp"
#include "geodet/parallel.hpp"

namespace geodet {
namespace {

// Pairs below which threads cost more than they save: about a millisecond.
constexpr std::int64_t kParallelPairs = 1 << 19;

bool usable(const MatchSizes& s) {
  return s.groups >= 0 && s.predictions >= 0 && s.targets >= 0 && s.similarities >= 0 &&
         s.settings >= 0 && s.thresholds >= 0;
}

bool rises(const std::int64_t* offsets, std::int64_t groups, std::int64_t total) {
  if (offsets[0] != 0 || offsets[groups] != total) return false;
  for (std::int64_t g = 0; g < groups; ++g) {
    if (offsets[g] > offsets[g + 1]) return false;
  }
  return true;
}

// Where the block of similarities of each group begins; false when they do not fill the array.
bool find_blocks(const MatchInput& input, const MatchSizes& s, std::int64_t* blocks) {
  std::int64_t next = 0;
  for (std::int64_t g = 0; g < s.groups; ++g) {
    blocks[g] = next;
    const std::int64_t d = input.pred_offsets[g + 1] - input.pred_offsets[g];
    const std::int64_t t = input.target_offsets[g + 1] - input.target_offsets[g];
    if (t > 0 && d > (s.similarities - next) / t) return false;
    next += d * t;
  }
  return next == s.similarities;
}

// One group: its block [d, g] of similarities and the scratch of its own targets.
struct Group {
  std::int64_t pred_begin, pred_end, target_begin, target_end;
  const double* block;
  std::int64_t* candidates;  // [g]
  bool* taken;               // [settings * thresholds, g], false
};

// Columns of `row` that reach the lowest threshold; the others match at none.
std::int64_t find_candidates(const double* row, std::int64_t count, double lowest,
                             std::int64_t* candidates) {
  std::int64_t found = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    if (row[t] >= lowest) candidates[found++] = t;
  }
  return found;
}

void match_group(const MatchInput& input, const MatchSizes& s, double lowest, const Group& group,
                 std::int64_t* matches) {
  const std::int64_t count = group.target_end - group.target_begin;
  for (std::int64_t p = group.pred_begin; p < group.pred_end; ++p) {
    const double* row = group.block + (p - group.pred_begin) * count;
    const std::int64_t found = find_candidates(row, count, lowest, group.candidates);
    if (found == 0) continue;
    for (std::int64_t setting = 0; setting < s.settings; ++setting) {
      const bool* ignored = input.ignored + setting * s.targets + group.target_begin;
      for (std::int64_t k = 0; k < s.thresholds; ++k) {
        const std::int64_t way = setting * s.thresholds + k;
        bool* taken = group.taken + way * count;
        MatchChoice best{-1, 0, false};
        for (std::int64_t i = 0; i < found; ++i) {
          const std::int64_t t = group.candidates[i];
          if (taken[t]) continue;
          consider(best, t, row[t], ignored[t], input.thresholds[k]);
        }
        if (best.target < 0) continue;
        taken[best.target] = !input.crowd[group.target_begin + best.target];
        matches[way * s.predictions + p] = group.target_begin + best.target;
      }
    }
  }
}

}  // namespace

std::int64_t match_scratch_bytes(const MatchSizes& s) noexcept {
  if (!usable(s)) return -1;
  const auto word = static_cast<std::int64_t>(sizeof(std::int64_t));
  return word * (s.groups + s.targets) + s.settings * s.thresholds * s.targets;
}

Status match_greedily(const MatchInput& input, const MatchSizes& s, void* scratch,
                      std::int64_t* matches, int num_threads) noexcept {
  if (!usable(s)) return Status::kInvalidArgument;
  auto* blocks = static_cast<std::int64_t*>(scratch);
  std::int64_t* candidates = blocks + s.groups;
  bool* taken = reinterpret_cast<bool*>(candidates + s.targets);
  if (!rises(input.pred_offsets, s.groups, s.predictions) ||
      !rises(input.target_offsets, s.groups, s.targets) || !find_blocks(input, s, blocks)) {
    return Status::kOutOfRange;
  }
  const std::int64_t ways = s.settings * s.thresholds;
  std::fill(matches, matches + ways * s.predictions, std::int64_t{-1});
  if (s.similarities == 0 || ways == 0) return Status::kOk;
  std::memset(taken, 0, static_cast<std::size_t>(ways * s.targets));
  const double lowest = *std::min_element(input.thresholds, input.thresholds + s.thresholds);
  const int threads = s.similarities >= kParallelPairs ? num_threads : 1;
  parallel_for(s.groups, 64, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t g = begin; g < end; ++g) {
      const std::int64_t first = input.target_offsets[g];
      match_group(input, s, lowest,
                  {input.pred_offsets[g], input.pred_offsets[g + 1], first,
                   input.target_offsets[g + 1], input.similarities + blocks[g],
                   candidates + first, taken + ways * first},
                  matches);
    }
  });
  return Status::kOk;
}

}  // namespace geodet
