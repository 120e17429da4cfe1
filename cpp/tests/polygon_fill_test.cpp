#include "geodet/polygon_fill.hpp"

#include <numeric>
#include <vector>

#include "check.hpp"
#include "random.hpp"

namespace {

using namespace geodet;

struct Polygons {
  std::vector<double> points;
  std::vector<std::int64_t> rings{0}, parts{0}, masks{0};

  PolygonBatch batch() const {
    return {{points.data(), rings.data(), static_cast<std::int64_t>(rings.size()) - 1},
            parts.data(),
            masks.data(),
            static_cast<std::int64_t>(masks.size()) - 1};
  }
};

void add_rectangle(Polygons& polygons, double x1, double y1, double x2, double y2) {
  for (const double value : {x1, y1, x2, y1, x2, y2, x1, y2}) polygons.points.push_back(value);
  polygons.rings.push_back(polygons.rings.back() + 4);
}

Polygons random_polygons(test::Random& random, double reach) {
  Polygons polygons;
  for (std::int64_t mask = random.below(4); mask > 0; --mask) {
    for (std::int64_t part = random.below(3); part > 0; --part) {
      for (std::int64_t ring = random.below(3); ring >= 0; --ring) {
        const std::int64_t count = random.below(9);
        for (std::int64_t k = 0; k < 2 * count; ++k) {
          polygons.points.push_back(random.uniform(-reach, reach));
        }
        polygons.rings.push_back(polygons.rings.back() + count);
      }
      polygons.parts.push_back(static_cast<std::int64_t>(polygons.rings.size()) - 1);
    }
    polygons.masks.push_back(static_cast<std::int64_t>(polygons.parts.size()) - 1);
  }
  return polygons;
}

GEODET_TEST(a_hole_is_left_out_and_an_island_in_it_is_not) {
  Polygons polygons;
  add_rectangle(polygons, 0, 0, 10, 10);
  add_rectangle(polygons, 2, 2, 8, 8);
  polygons.parts.push_back(2);
  add_rectangle(polygons, 4, 4, 6, 6);
  polygons.parts.push_back(3);
  polygons.masks.push_back(2);
  std::vector<std::uint8_t> mask(100);
  GEODET_EXPECT(fill_polygons(polygons.batch(), 10, 10, mask.data(), 1) == Status::kOk);
  GEODET_EXPECT(std::accumulate(mask.begin(), mask.end(), 0) == 68);
  const double box[4] = {0, 0, 10, 10};
  std::vector<std::uint8_t> target(25);
  std::int64_t row = 0;
  GEODET_EXPECT(fill_polygon_rois(polygons.batch(), box, 0.1, 5, target.data(), &row, 1) ==
                Status::kOk);
  GEODET_EXPECT(std::accumulate(target.begin(), target.end(), 0) == 25 - 9 + 1);
}

// Planes are exact: under AddressSanitizer a pixel outside is an error.
GEODET_TEST(random_polygons_fill_bits_inside_their_planes) {
  test::Random random(6);
  for (int round = 0; round < 4000; ++round) {
    const Polygons polygons = random_polygons(random, round % 10 == 0 ? kMaxCoordinate : 30);
    const PolygonBatch batch = polygons.batch();
    const std::int64_t h = random.below(12);
    const std::int64_t w = random.below(12);
    std::vector<std::uint8_t> masks(static_cast<std::size_t>(batch.size * h * w));
    GEODET_EXPECT(fill_polygons(batch, h, w, masks.data(), 1) == Status::kOk);
    for (const std::uint8_t pixel : masks) GEODET_EXPECT(pixel <= 1);
  }
}

GEODET_TEST(coverage_stays_in_its_planes_and_between_0_and_1) {
  test::Random random(7);
  for (int round = 0; round < 4000; ++round) {
    const Polygons polygons = random_polygons(random, round % 10 == 0 ? kMaxCoordinate : 60);
    const PolygonBatch batch = polygons.batch();
    const std::int64_t h = random.below(40);
    const std::int64_t w = random.below(round % 7 == 0 ? 150 : 12);
    std::vector<double> shares(static_cast<std::size_t>(batch.size * h * w));
    GEODET_EXPECT(polygon_coverage(batch, h, w, shares.data(), 1) == Status::kOk);
    for (const double share : shares) GEODET_EXPECT(share >= 0 && share <= 1);
  }
}

GEODET_TEST(coverage_of_a_rectangle_is_its_area) {
  Polygons polygons;
  add_rectangle(polygons, 1.25, 0.5, 90.5, 20.25);
  polygons.parts.push_back(1);
  polygons.masks.push_back(1);
  std::vector<double> shares(100 * 30);
  GEODET_EXPECT(polygon_coverage(polygons.batch(), 30, 100, shares.data(), 1) == Status::kOk);
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  GEODET_EXPECT(sum == 89.25 * 19.75);
  GEODET_EXPECT(shares[1] == 0.375 && shares[2] == 0.5 && shares[102] == 1 && shares[0] == 0);
}

}  // namespace
