#include <cmath>
#include <vector>

#include "check.hpp"
#include "geodet/polygon_clip.hpp"
#include "geodet/ring_shapes.hpp"
#include "random.hpp"

namespace {

using namespace geodet;

struct Rings {
  std::vector<double> points;
  std::vector<std::int64_t> offsets{0};

  RingBatch batch() const {
    return {points.data(), offsets.data(), static_cast<std::int64_t>(offsets.size()) - 1};
  }
};

Rings random_rings(test::Random& random, std::int64_t count, double reach) {
  Rings rings;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t size = random.below(12);
    for (std::int64_t k = 0; k < 2 * size; ++k) {
      rings.points.push_back(random.bits() % 2 == 0 ? static_cast<double>(random.below(5))
                                                    : random.uniform(-reach, reach));
    }
    rings.offsets.push_back(rings.offsets.back() + size);
  }
  return rings;
}

// The parts of one mask, each of which is all rings given, cut to a window; the sum of the areas.
double clipped_area(const Rings& rings, const double* window) {
  const RingBatch batch = rings.batch();
  const std::vector<std::int64_t> parts{0, batch.size};
  const std::vector<std::int64_t> masks{0, 1};
  const auto size = static_cast<std::size_t>(clipped_size(batch.offsets[batch.size], batch.size));
  std::vector<RingPoint> points[5];
  std::vector<std::int64_t> numbers[8];
  for (auto& list : points) list.resize(size);
  for (auto& list : numbers) list.resize(size);
  std::vector<ClipChain> chains(size);
  std::vector<ClipRing> clip_rings(size);
  PartList out{points[0].data(), numbers[0].data(), numbers[1].data(), 0, 0, 0};
  const ClipScratch scratch{
      {points[1].data(), numbers[2].data(), numbers[3].data(), 0, 0, 0},
      {points[2].data(), numbers[4].data(), numbers[5].data(), 0, 0, 0},
      points[3].data(),
      chains.data(),
      numbers[6].data(),
      numbers[7].data(),
      points[4].data(),
      clip_rings.data()};
  std::int64_t mask_end = -1;
  GEODET_EXPECT(clip_polygons({batch, parts.data(), masks.data(), 1}, window, scratch, &out,
                              &mask_end) == Status::kOk);
  GEODET_EXPECT(mask_end == out.num_parts);
  double area = 0;
  std::int64_t ring = 0;
  std::int64_t begin = 0;
  for (std::int64_t part = 0; part < out.num_parts; ++part) {
    for (bool first = true; ring < out.part_ends[part]; ++ring, first = false) {
      const double size_of_ring =
          std::fabs(ring_area(&out.points[begin].x, out.ring_ends[ring] - begin));
      area += first ? size_of_ring : -size_of_ring;
      begin = out.ring_ends[ring];
    }
  }
  GEODET_EXPECT(begin == out.num_points && ring == out.num_rings);
  return area;
}

GEODET_TEST(a_frame_cut_by_a_band_is_two_bars) {
  Rings frame;
  frame.points = {0, 0, 12, 0, 12, 12, 0, 12, 1, 1, 11, 1, 11, 11, 1, 11};
  frame.offsets = {0, 4, 8};
  const double band[4] = {-1, 5, 13, 7};
  GEODET_EXPECT(clipped_area(frame, band) == 4);
  const double inside[4] = {2, 2, 9, 9};
  GEODET_EXPECT(clipped_area(frame, inside) == 0);
  const double turned[4] = {1, 0, 0, 1};
  PartList none{};
  GEODET_EXPECT(clip_polygons({}, turned, {}, &none, nullptr) == Status::kInvalidArgument);
}

// Room is exact: under AddressSanitizer a point too many is an error.
GEODET_TEST(random_rings_stay_inside_their_room) {
  test::Random random(8);
  for (int round = 0; round < 6000; ++round) {
    const Rings rings = random_rings(random, 1 + random.below(3), round % 10 == 0 ? 1e8 : 9);
    const auto x = static_cast<double>(random.below(4));
    const auto y = static_cast<double>(random.below(4));
    const double window[4] = {x, y, x + static_cast<double>(random.below(4)), y + 2};
    GEODET_EXPECT(std::isfinite(clipped_area(rings, window)));
  }
}

GEODET_TEST(simplified_rings_keep_three_points) {
  test::Random random(9);
  for (int round = 0; round < 4000; ++round) {
    const Rings rings = random_rings(random, random.below(4), 9);
    const auto p = static_cast<std::size_t>(rings.offsets.back());
    std::vector<std::int64_t> stack(2 * p);
    std::vector<std::uint8_t> keep(p);
    std::vector<EdgeReach> edges(p);
    std::vector<std::uint8_t> simple(rings.offsets.size());
    const double tolerance = random.uniform(0, 5);
    const RingBatch batch = rings.batch();
    GEODET_EXPECT(simplify_rings(batch, tolerance, stack.data(), keep.data(), 1) == Status::kOk);
    GEODET_EXPECT(rings_are_simple(batch, edges.data(), simple.data(), 1) == Status::kOk);
    for (std::int64_t i = 0; i < batch.size; ++i) {
      std::int64_t kept = 0;
      for (std::int64_t k = batch.offsets[i]; k < batch.offsets[i + 1]; ++k) {
        kept += keep[static_cast<std::size_t>(k)];
      }
      const std::int64_t count = batch.offsets[i + 1] - batch.offsets[i];
      GEODET_EXPECT(kept >= (count < 3 ? count : 3));
    }
  }
}

}  // namespace
