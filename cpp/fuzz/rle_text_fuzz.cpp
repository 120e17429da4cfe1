// COCO's run-length text, taken for three masks: parse, and use what parses.
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "fuzz_input.hpp"
#include "exercise_runs.hpp"

using geodet::RleFault;
using geodet::Status;

namespace {

// The runs of a text, or none when it is not well formed.
std::vector<std::int32_t> parsed(const std::vector<char>& text) {
  const auto size = static_cast<std::int64_t>(text.size());
  const std::int64_t num_runs = geodet::rle_text_num_runs(text.data(), size);
  GEODET_FUZZ_REQUIRE(num_runs >= 0 && num_runs <= size);
  auto runs = geodet::fuzz::room<std::int32_t>(num_runs);
  std::int64_t fault = -1;
  if (geodet::rle_from_text(text.data(), size, runs.data(), &fault) != Status::kOk) {
    GEODET_FUZZ_REQUIRE(fault >= 0 && fault < size);
    runs.clear();
  }
  return runs;
}

std::int64_t sum(const std::vector<std::int32_t>& runs) {
  return std::accumulate(runs.begin(), runs.end(), std::int64_t{0});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  geodet::fuzz::Input input(data, size);
  std::int64_t height = input.between(0, 300);
  geodet::fuzz::OwnedRuns masks;
  const std::size_t third = input.left() / 3;
  std::int64_t pixels = -1;  // of the first mask; texts of other sizes are left out
  for (int i = 0; i < 3; ++i) {
    auto text = geodet::fuzz::room<char>(static_cast<std::int64_t>(third));
    for (char& each : text) each = input.value<char>();
    const auto runs = parsed(text);
    if (runs.empty() || sum(runs) > geodet::kMaxMaskPixels) continue;
    if (pixels < 0) pixels = sum(runs);
    if (sum(runs) != pixels) continue;
    masks.counts.insert(masks.counts.end(), runs.begin(), runs.end());
    masks.offsets.push_back(static_cast<std::int64_t>(masks.counts.size()));
  }
  const auto num_counts = static_cast<std::int64_t>(masks.counts.size());
  const auto report = geodet::rle_check(masks.batch(), num_counts, -1);
  GEODET_FUZZ_REQUIRE(report.fault == RleFault::kNone);
  pixels = report.num_pixels;
  if (pixels > 0 && (height == 0 || pixels % height != 0)) height = 1;  // always a size
  geodet::fuzz::exercise_runs(masks, height, height == 0 ? 0 : pixels / height, input);
  return 0;
}
