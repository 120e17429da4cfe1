// RoIAlign, forward and backward, with any rois and sizes.
#include <cstddef>
#include <cstdint>

#include "fuzz_input.hpp"
#include "geodet/roi_align.hpp"

using geodet::RoiAlignSizes;
using geodet::Status;
using geodet::fuzz::room;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  geodet::fuzz::Input input(data, size);
  RoiAlignSizes s{};
  s.images = input.between(0, 2);
  s.channels = input.between(0, 10);
  s.height = input.between(0, 12);
  s.width = input.between(0, 12);
  s.rois = input.between(0, 4);
  s.out_height = input.between(0, 4);
  s.out_width = input.between(0, 4);
  s.spatial_scale = input.coordinate<double>();
  s.sampling_ratio = input.between(-1, 3);
  s.aligned = (input.value<std::uint8_t>() & 1u) != 0;
  const std::int64_t bytes = geodet::roi_align_scratch_bytes(s, sizeof(float));
  if (bytes < 0) return 0;
  auto scratch = room<std::uint64_t>((bytes + 7) / 8);
  auto rois = input.coordinates<float>(5 * s.rois);
  for (std::int64_t i = 0; i < s.rois; ++i) {
    // mostly an image that is there, or every run would end at the first check
    if (input.value<std::uint8_t>() < 240) {
      rois[static_cast<std::size_t>(5 * i)] =
          static_cast<float>(input.between(0, s.images > 0 ? s.images - 1 : 0));
    }
  }
  auto features = room<float>(s.images * s.channels * s.height * s.width);
  for (float& each : features) each = static_cast<float>(input.value<std::int8_t>());
  auto out = room<float>(s.rois * s.channels * s.out_height * s.out_width);
  const Status status = geodet::roi_align(features.data(), rois.data(), s, scratch.data(),
                                          out.data(), 1);
  if (status != Status::kOk) return 0;
  for (const float value : out) GEODET_FUZZ_REQUIRE(value >= -128.5f && value <= 127.5f);
  auto gradient = room<float>(static_cast<std::int64_t>(features.size()));
  GEODET_FUZZ_REQUIRE(geodet::roi_align_backward(out.data(), rois.data(), s, scratch.data(),
                                                 gradient.data(), 1) == Status::kOk);
  for (const float value : gradient) GEODET_FUZZ_REQUIRE(value - value == 0);
  return 0;
}
