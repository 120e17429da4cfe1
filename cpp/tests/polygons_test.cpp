#include "geodet/polygons.hpp"

#include <limits>
#include <vector>

#include "check.hpp"
#include "random.hpp"

namespace {

using namespace geodet;

std::int64_t rasterized_area(const std::vector<double>& points, std::int64_t h, std::int64_t w) {
  const std::vector<std::int64_t> offsets{0, static_cast<std::int64_t>(points.size() / 2)};
  const RingBatch rings{points.data(), offsets.data(), 1};
  std::int64_t crossings = 0;
  GEODET_EXPECT(ring_crossings(rings, w, &crossings, 1) == Status::kOk);
  const std::vector<std::int64_t> slots{0, ring_slot_size(crossings, h * w)};
  std::vector<std::int32_t> runs(static_cast<std::size_t>(slots[1]));
  std::int64_t length = 0;
  GEODET_EXPECT(rasterize_rings(rings, h, w, slots.data(), runs.data(), &length, 1) ==
                Status::kOk);
  GEODET_EXPECT(length <= slots[1]);
  std::int64_t sum = 0;
  for (std::int64_t k = 0; k < length; ++k) {
    const std::int32_t run = runs[static_cast<std::size_t>(k)];
    GEODET_EXPECT(run > 0 || (k == 0 && run == 0));
    sum += run;
  }
  GEODET_EXPECT(sum == h * w);
  return runs_area({runs.data(), length});
}

GEODET_TEST(a_square_covers_its_pixels) {
  GEODET_EXPECT(rasterized_area({2, 3, 8, 3, 8, 7, 2, 7}, 10, 10) == 24);
  GEODET_EXPECT(rasterized_area({-50, -50, 50, -50, 50, 50, -50, 50}, 10, 10) == 100);
  GEODET_EXPECT(rasterized_area({20, 3, 28, 3, 28, 7, 20, 7}, 10, 10) == 0);
  GEODET_EXPECT(rasterized_area({2, 3, 8, 3}, 10, 10) == 0);
  GEODET_EXPECT(rasterized_area({}, 10, 10) == 0);
}

// Slots are exact: under AddressSanitizer a crossing too many is an error.
GEODET_TEST(random_rings_stay_inside_their_slots) {
  test::Random random(4);
  for (int round = 0; round < 5000; ++round) {
    const auto h = static_cast<std::int64_t>(random.bits() % 12);
    const auto w = static_cast<std::int64_t>(random.bits() % 12);
    const double reach = round % 10 == 0 ? kMaxCoordinate : 30;
    std::vector<double> points(2 * (random.bits() % 40));
    for (double& value : points) value = random.uniform(-reach, reach);
    const std::int64_t area = rasterized_area(points, h, w);
    GEODET_EXPECT(area >= 0 && area <= h * w);
  }
}

GEODET_TEST(unusable_coordinates_are_found) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {nan, std::numeric_limits<double>::infinity(), 2 * kMaxCoordinate}) {
    const std::vector<double> points{0, 0, 1, 0, 1, 1, 0, bad};
    const std::vector<std::int64_t> offsets{0, 3, 4};
    GEODET_EXPECT(first_unusable_ring({points.data(), offsets.data(), 2}) == 1);
    GEODET_EXPECT(first_unusable_ring({points.data(), offsets.data(), 1}) == -1);
  }
}

}  // namespace
