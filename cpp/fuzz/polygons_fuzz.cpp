// Polygons of any coordinates and sizes to run lengths, and their areas.
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "fuzz_input.hpp"
#include "geodet/polygons.hpp"
#include "geodet/rle.hpp"

using geodet::Status;
using geodet::fuzz::room;

namespace {

// Room beyond this is refused before it is allocated, as callers do with what they can afford.
constexpr std::int64_t kMaxSlots = 1 << 20;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  geodet::fuzz::Input input(data, size);
  const bool large = input.value<std::uint8_t>() % 8 == 0;
  const std::int64_t height = input.between(0, large ? 40000 : 50);
  const std::int64_t width = input.between(0, large ? 40000 : 50);
  const std::int64_t num_rings = input.between(0, 4);
  auto offsets = room<std::int64_t>(num_rings + 1);
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    offsets[i] = offsets[i - 1] + input.between(0, 8);
  }
  const auto points = input.coordinates<double>(2 * offsets.back());
  const geodet::RingBatch rings{points.data(), offsets.data(), num_rings};
  if (geodet::first_unusable_ring(rings) >= 0) return 0;

  auto areas = room<double>(num_rings);
  geodet::ring_areas(rings, areas.data());
  for (const double area : areas) GEODET_FUZZ_REQUIRE(area - area == 0);

  auto crossings = room<std::int64_t>(num_rings);
  GEODET_FUZZ_REQUIRE(geodet::ring_crossings(rings, width, crossings.data(), 1) == Status::kOk);
  auto slot_offsets = room<std::int64_t>(num_rings + 1);
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    GEODET_FUZZ_REQUIRE(crossings[i] >= 0);
    slot_offsets[i + 1] = slot_offsets[i] + geodet::ring_slot_size(crossings[i], height * width);
  }
  if (slot_offsets.back() > kMaxSlots) return 0;
  auto slots = room<std::int32_t>(slot_offsets.back());
  auto lengths = room<std::int64_t>(num_rings);
  GEODET_FUZZ_REQUIRE(geodet::rasterize_rings(rings, height, width, slot_offsets.data(),
                                              slots.data(), lengths.data(), 1) == Status::kOk);
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const std::int64_t bounds[] = {0, lengths[i]};
    GEODET_FUZZ_REQUIRE(lengths[i] <= slot_offsets[i + 1] - slot_offsets[i]);
    const geodet::RleBatch mask{slots.data() + slot_offsets[i], bounds, 1};
    GEODET_FUZZ_REQUIRE(geodet::rle_check(mask, lengths[i], height * width).fault ==
                        geodet::RleFault::kNone);
  }
  return 0;
}
