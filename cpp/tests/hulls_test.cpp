#include "geodet/hulls.hpp"

#include <cmath>
#include <vector>

#include "check.hpp"
#include "geodet/orientation.hpp"
#include "random.hpp"

namespace {

using namespace geodet;

GEODET_TEST(orientation_sees_the_last_bit) {
  // The middle of a segment whose coordinates cannot be halved exactly, moved by one last place.
  const double a[2] = {12.1, 0.3};
  const double b[2] = {24.2, 0.6};
  const double on[2] = {36.3, 0.8999999999999999};
  const double swapped = orientation(b, a, on);
  GEODET_EXPECT(orientation(a, b, on) == -swapped);
  const double origin[2] = {0, 0};
  GEODET_EXPECT(orientation(origin, a, b) == 0);  // b is exactly 2 a
  const double above[2] = {24.2, std::nextafter(0.6, 0.0)};
  const double below[2] = {24.2, std::nextafter(0.6, 1.0)};
  GEODET_EXPECT(orientation(origin, a, above) == -1);
  GEODET_EXPECT(orientation(origin, a, below) == 1);
}

GEODET_TEST(hulls_and_rectangles_stay_inside_their_buffers) {
  test::Random random(5);
  for (int round = 0; round < 3000; ++round) {
    const std::int64_t sets = random.below(4);
    std::vector<std::int64_t> offsets{0};
    std::vector<double> points;
    for (std::int64_t i = 0; i < sets; ++i) {
      const std::int64_t count = random.below(9);
      for (std::int64_t k = 0; k < 2 * count; ++k) {
        points.push_back(round % 2 == 0 ? static_cast<double>(random.below(4))
                                        : random.uniform(-1e8, 1e8));
      }
      offsets.push_back(offsets.back() + count);
    }
    const auto p = static_cast<std::size_t>(offsets.back());
    const auto n = static_cast<std::size_t>(sets);
    std::vector<HullPoint> sorted(p), hulls(p + n);
    std::vector<std::int64_t> lengths(n);
    std::vector<double> rectangles(5 * n);
    const RingBatch batch{points.data(), offsets.data(), sets};
    GEODET_EXPECT(min_area_rectangles(batch, sorted.data(), hulls.data(), lengths.data(),
                                      rectangles.data(), 1) == Status::kOk);
    for (std::size_t i = 0; i < n; ++i) {
      GEODET_EXPECT(lengths[i] <= offsets[i + 1] - offsets[i]);
      GEODET_EXPECT(rectangles[5 * i + 2] >= 0 && rectangles[5 * i + 3] >= 0);
      GEODET_EXPECT(rectangles[5 * i + 4] >= -45 && rectangles[5 * i + 4] < 45);
    }
  }
}

}  // namespace
