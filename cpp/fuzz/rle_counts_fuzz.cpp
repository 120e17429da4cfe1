// Arrays of run lengths and offsets, broken or not: the check, and all operations on what it
// passes.
#include <cstddef>
#include <cstdint>

#include "fuzz_input.hpp"
#include "exercise_runs.hpp"

using geodet::RleFault;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  geodet::fuzz::Input input(data, size);
  const std::int64_t height = input.between(0, 40);
  const std::int64_t width = input.between(0, 40);
  const bool repair = input.value<std::uint8_t>() % 4 != 0;
  const std::int64_t n = input.between(0, 5);
  geodet::fuzz::OwnedRuns masks;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t num_runs = input.between(1, 12);
    std::int64_t left = height * width;
    for (std::int64_t k = 0; k < num_runs; ++k) {
      const bool last = repair && k + 1 == num_runs;
      const std::int64_t run = last ? left : repair ? input.between(0, left)
                                                    : input.value<std::int32_t>();
      masks.counts.push_back(static_cast<std::int32_t>(run));
      left -= run;
    }
    masks.offsets.push_back(repair ? static_cast<std::int64_t>(masks.counts.size())
                                   : input.value<std::int64_t>());
  }
  const auto num_counts = static_cast<std::int64_t>(masks.counts.size());
  const auto report =
      geodet::rle_check(masks.batch(), num_counts, repair ? height * width : -1);
  GEODET_FUZZ_REQUIRE(!repair || report.fault == RleFault::kNone);
  if (report.fault != RleFault::kNone) {
    GEODET_FUZZ_REQUIRE(report.row >= 0 && report.row <= n);
    return 0;
  }
  if (repair) {
    geodet::fuzz::exercise_runs(masks, height, width, input);
  } else {
    geodet::fuzz::exercise_runs(masks, 1, report.num_pixels, input);
  }
  return 0;
}
