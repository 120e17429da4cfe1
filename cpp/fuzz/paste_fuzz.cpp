// Mask pasting with any sizes, boxes and probabilities: dense, soft and straight to runs agree.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "fuzz_input.hpp"
#include "geodet/paste.hpp"
#include "geodet/rle.hpp"

using geodet::PasteSizes;
using geodet::Status;
using geodet::fuzz::room;

namespace {

template <typename T>
void paste_all(geodet::fuzz::Input& input, const PasteSizes& s, double threshold) {
  const auto boxes = input.coordinates<T>(s.box_columns * s.masks);
  auto values = room<T>(s.masks * s.mask_height * s.mask_width);
  for (T& each : values) {
    const auto code = input.value<std::uint8_t>();
    each = code == 255 ? input.value<T>() : static_cast<T>(code) / T(254);
  }
  auto scratch = room<T>(geodet::paste_scratch_values(s));
  const std::int64_t pixels = s.masks * s.height * s.width;
  auto soft = room<T>(pixels);
  const auto hard = std::make_unique<bool[]>(static_cast<std::size_t>(pixels));
  GEODET_FUZZ_REQUIRE(geodet::paste_probabilities(values.data(), boxes.data(), s, scratch.data(),
                                                  soft.data(), 1) == Status::kOk);
  GEODET_FUZZ_REQUIRE(geodet::paste_masks(values.data(), boxes.data(), s, threshold,
                                          scratch.data(), hard.get(), 1) == Status::kOk);
  for (std::size_t k = 0; k < soft.size(); ++k) {
    GEODET_FUZZ_REQUIRE(hard[k] == (soft[k] >= static_cast<T>(threshold)));
  }
  auto windows = room<geodet::PasteWindow>(s.masks);
  auto words = room<std::uint64_t>(geodet::paste_runs_plan(boxes.data(), s, windows.data()));
  scratch = room<T>(geodet::paste_runs_scratch_values(s));
  GEODET_FUZZ_REQUIRE(geodet::paste_runs_scan(values.data(), boxes.data(), s, threshold,
                                              windows.data(), scratch.data(), words.data(),
                                              1) == Status::kOk);
  auto offsets = room<std::int64_t>(s.masks + 1);
  for (std::size_t i = 0; i < windows.size(); ++i) {
    offsets[i + 1] = offsets[i] + windows[i].num_runs;
  }
  auto counts = room<std::int32_t>(offsets.back());
  GEODET_FUZZ_REQUIRE(geodet::paste_runs_fill(windows.data(), s, words.data(), offsets.data(),
                                              counts.data(), 1) == Status::kOk);
  const geodet::RleBatch batch{counts.data(), offsets.data(), s.masks};
  GEODET_FUZZ_REQUIRE(geodet::rle_check(batch, offsets.back(), s.height * s.width).fault ==
                      geodet::RleFault::kNone);
  auto decoded = room<std::uint8_t>(pixels);
  GEODET_FUZZ_REQUIRE(geodet::rle_decode(batch, s.height, s.width, decoded.data(), 1) ==
                      Status::kOk);
  for (std::size_t k = 0; k < decoded.size(); ++k) {
    GEODET_FUZZ_REQUIRE((decoded[k] != 0) == hard[k]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  geodet::fuzz::Input input(data, size);
  const bool in_double = (input.value<std::uint8_t>() & 1u) != 0;
  PasteSizes s{input.between(0, 3), input.between(0, 9), input.between(0, 9),
               input.between(0, 90), input.between(0, 90), input.between(4, 5)};
  const double threshold = static_cast<double>(input.between(1, 100)) / 100;
  if (s.mask_height == 0 || s.mask_width == 0) {
    GEODET_FUZZ_REQUIRE(geodet::paste_scratch_values(s) == -1);
    GEODET_FUZZ_REQUIRE(geodet::paste_runs_scratch_values(s) == -1);
    return 0;
  }
  if (in_double) {
    paste_all<double>(input, s, threshold);
  } else {
    paste_all<float>(input, s, threshold);
  }
  return 0;
}
