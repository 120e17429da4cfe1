// Outlines of any coordinates filled, covered, clipped, simplified, checked and boxed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "fuzz_input.hpp"
#include "geodet/hulls.hpp"
#include "geodet/polygon_clip.hpp"
#include "geodet/polygon_fill.hpp"
#include "geodet/ring_shapes.hpp"
#include "geodet/rle.hpp"

using geodet::Status;
using geodet::fuzz::room;

namespace {

// Pixels of both rasterisers agree, ring by ring; shares are shares.
void fill(const geodet::RingBatch& rings, std::int64_t height, std::int64_t width) {
  auto each = room<std::int64_t>(rings.size + 1);
  for (std::size_t i = 0; i < each.size(); ++i) each[i] = static_cast<std::int64_t>(i);
  const geodet::PolygonBatch polygons{rings, each.data(), each.data(), rings.size};
  auto masks = room<std::uint8_t>(rings.size * height * width);
  GEODET_FUZZ_REQUIRE(geodet::fill_polygons(polygons, height, width, masks.data(), 1) ==
                      Status::kOk);
  auto crossings = room<std::int64_t>(rings.size);
  GEODET_FUZZ_REQUIRE(geodet::ring_crossings(rings, width, crossings.data(), 1) == Status::kOk);
  auto slot_offsets = room<std::int64_t>(rings.size + 1);
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    slot_offsets[i + 1] = slot_offsets[i] + geodet::ring_slot_size(crossings[i], height * width);
  }
  auto slots = room<std::int32_t>(slot_offsets.back());
  auto lengths = room<std::int64_t>(rings.size);
  GEODET_FUZZ_REQUIRE(geodet::rasterize_rings(rings, height, width, slot_offsets.data(),
                                              slots.data(), lengths.data(), 1) == Status::kOk);
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    auto decoded = room<std::uint8_t>(height * width);
    const std::int64_t bounds[] = {0, lengths[i]};
    const geodet::RleBatch runs{slots.data() + slot_offsets[i], bounds, 1};
    GEODET_FUZZ_REQUIRE(geodet::rle_decode(runs, height, width, decoded.data(), 1) ==
                        Status::kOk);
    const auto first = masks.begin() + static_cast<std::ptrdiff_t>(i * decoded.size());
    GEODET_FUZZ_REQUIRE(std::equal(decoded.begin(), decoded.end(), first));
  }
  auto shares = room<double>(rings.size * height * width);
  GEODET_FUZZ_REQUIRE(geodet::polygon_coverage(polygons, height, width, shares.data(), 1) ==
                      Status::kOk);
  for (const double share : shares) GEODET_FUZZ_REQUIRE(share >= 0 && share <= 1);
}

// All rings as one part: what is left lies in the window, rings in parts, points in rings.
void clip(const geodet::RingBatch& rings, const double* window) {
  const std::int64_t parts[] = {0, rings.size};
  const std::int64_t masks[] = {0, 1};
  const std::int64_t size = geodet::clipped_size(rings.offsets[rings.size], rings.size);
  std::vector<geodet::RingPoint> points[5];
  std::vector<std::int64_t> numbers[8];
  for (auto& list : points) list = room<geodet::RingPoint>(size);
  for (auto& list : numbers) list = room<std::int64_t>(size);
  auto chains = room<geodet::ClipChain>(size);
  auto clip_rings = room<geodet::ClipRing>(size);
  geodet::PartList out{points[0].data(), numbers[0].data(), numbers[1].data(), 0, 0, 0};
  std::int64_t mask_end = 0;
  GEODET_FUZZ_REQUIRE(
      geodet::clip_polygons({rings, parts, masks, 1}, window,
                            {{points[1].data(), numbers[2].data(), numbers[3].data(), 0, 0, 0},
                             {points[2].data(), numbers[4].data(), numbers[5].data(), 0, 0, 0},
                             points[3].data(),
                             chains.data(),
                             numbers[6].data(),
                             numbers[7].data(),
                             points[4].data(),
                             clip_rings.data()},
                            &out, &mask_end) == Status::kOk);
  GEODET_FUZZ_REQUIRE(mask_end == out.num_parts);
  if (out.num_parts > 0) GEODET_FUZZ_REQUIRE(out.part_ends[out.num_parts - 1] == out.num_rings);
  if (out.num_rings > 0) GEODET_FUZZ_REQUIRE(out.ring_ends[out.num_rings - 1] == out.num_points);
  for (std::int64_t k = 0; k < out.num_points; ++k) {
    const geodet::RingPoint point = out.points[k];
    GEODET_FUZZ_REQUIRE(point.x >= window[0] && point.x <= window[2]);
    GEODET_FUZZ_REQUIRE(point.y >= window[1] && point.y <= window[3]);
  }
}

void measure(const geodet::RingBatch& rings, double tolerance) {
  const std::int64_t num_points = rings.offsets[rings.size];
  auto stack = room<std::int64_t>(2 * num_points);
  auto keep = room<std::uint8_t>(num_points);
  auto edges = room<geodet::EdgeReach>(num_points);
  auto simple = room<std::uint8_t>(rings.size);
  GEODET_FUZZ_REQUIRE(geodet::simplify_rings(rings, tolerance, stack.data(), keep.data(), 1) ==
                      Status::kOk);
  GEODET_FUZZ_REQUIRE(geodet::rings_are_simple(rings, edges.data(), simple.data(), 1) ==
                      Status::kOk);
  auto sorted = room<geodet::HullPoint>(num_points);
  auto hulls = room<geodet::HullPoint>(num_points + rings.size);
  auto lengths = room<std::int64_t>(rings.size);
  auto rectangles = room<double>(5 * rings.size);
  GEODET_FUZZ_REQUIRE(geodet::min_area_rectangles(rings, sorted.data(), hulls.data(),
                                                  lengths.data(), rectangles.data(),
                                                  1) == Status::kOk);
  for (std::int64_t i = 0; i < rings.size; ++i) {
    const double* box = rectangles.data() + 5 * i;
    GEODET_FUZZ_REQUIRE(box[2] >= 0 && box[3] >= 0 && box[4] >= -45 && box[4] < 45);
    GEODET_FUZZ_REQUIRE(lengths[static_cast<std::size_t>(i)] <=
                        rings.offsets[i + 1] - rings.offsets[i]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  geodet::fuzz::Input input(data, size);
  const std::int64_t height = input.between(0, 40);
  const std::int64_t width = input.between(0, 90);
  const std::int64_t num_rings = input.between(0, 4);
  double window[4];
  for (double& bound : window) bound = static_cast<double>(input.value<std::int16_t>()) / 64;
  if (window[0] > window[2]) std::swap(window[0], window[2]);
  if (window[1] > window[3]) std::swap(window[1], window[3]);
  const double tolerance = static_cast<double>(input.value<std::uint8_t>()) / 16;
  auto offsets = room<std::int64_t>(num_rings + 1);
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    offsets[i] = offsets[i - 1] + input.between(0, 9);
  }
  const auto points = input.coordinates<double>(2 * offsets.back());
  const geodet::RingBatch rings{points.data(), offsets.data(), num_rings};
  if (geodet::first_unusable_ring(rings) >= 0) return 0;
  fill(rings, height, width);
  clip(rings, window);
  measure(rings, tolerance);
  return 0;
}
