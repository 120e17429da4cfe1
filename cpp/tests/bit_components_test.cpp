#include "geodet/bit_components.hpp"

#include <cstdint>
#include <utility>
#include <vector>

#include "check.hpp"
#include "random.hpp"

using namespace geodet;

namespace {

// The step that GPU threads make with atomicMin, on the host.
struct Lower {
  std::int32_t operator()(std::int32_t* address, std::int32_t value) const {
    std::int32_t before = __atomic_load_n(address, __ATOMIC_RELAXED);
    while (before > value && !__atomic_compare_exchange_n(address, &before, value, false,
                                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return before;
  }
};

std::vector<std::int32_t> flood(const std::vector<std::int32_t>& parents, std::int64_t h,
                                std::int64_t w, bool corners) {
  std::vector<std::int32_t> roots(parents.size(), -1);
  for (std::size_t first = 0; first < parents.size(); ++first) {
    if (parents[first] < 0 || roots[first] >= 0) continue;
    std::vector<std::int64_t> queue{static_cast<std::int64_t>(first)};
    roots[first] = static_cast<std::int32_t>(first);
    while (!queue.empty()) {
      const std::int64_t x = queue.back() / h;
      const std::int64_t y = queue.back() % h;
      queue.pop_back();
      for (std::int64_t dx = -1; dx <= 1; ++dx) {
        for (std::int64_t dy = -1; dy <= 1; ++dy) {
          if (!corners && dx != 0 && dy != 0) continue;
          if (x + dx < 0 || x + dx >= w || y + dy < 0 || y + dy >= h) continue;
          const auto near = static_cast<std::size_t>((x + dx) * h + y + dy);
          if (parents[near] < 0 || roots[near] >= 0) continue;
          roots[near] = static_cast<std::int32_t>(first);
          queue.push_back(static_cast<std::int64_t>(near));
        }
      }
    }
  }
  return roots;
}

// The very lines that run on a GPU, pixels in any order.
GEODET_TEST(joining_pixels_in_any_order_finds_first_pixels) {
  test::Random random(1);
  for (int round = 0; round < 400; ++round) {
    const std::int64_t h = 1 + random.below(9);
    const std::int64_t w = 1 + random.below(9);
    const bool corners = random.below(2) == 0;
    const double density = random.uniform(0, 1);
    std::vector<std::int32_t> parents(static_cast<std::size_t>(h * w));
    std::vector<std::int64_t> order(parents.size());
    for (std::size_t p = 0; p < parents.size(); ++p) {
      parents[p] = random.uniform(0, 1) < density ? static_cast<std::int32_t>(p) : -1;
      order[p] = static_cast<std::int64_t>(p);
    }
    for (std::size_t p = order.size(); p > 1; --p) {
      std::swap(order[p - 1], order[static_cast<std::size_t>(random.below(p))]);
    }
    const std::vector<std::int32_t> expected = flood(parents, h, w, corners);
    for (const std::int64_t p : order) {
      join_neighbours(parents.data(), h, p / h, p % h, corners, Lower{});
    }
    for (std::int32_t& parent : parents) {
      if (parent >= 0) parent = component_root(parents.data(), parent);
    }
    GEODET_EXPECT(parents == expected);
  }
}

}  // namespace
