#include "geodet/rotated_bounds.hpp"

namespace geodet {
namespace {

GEODET_CLONES void flag_block(const UprightBounds& row, const UprightBoundsArrays& columns,
                              std::int64_t first, std::int64_t count, std::uint8_t* flags) {
  const float* x1 = columns.x1 + first;
  const float* y1 = columns.y1 + first;
  const float* x2 = columns.x2 + first;
  const float* y2 = columns.y2 + first;
  const UprightBounds r = row;
  for (std::int64_t k = 0; k < count; ++k) {
    const int meets_x = static_cast<int>(x1[k] <= r.x2) & static_cast<int>(x2[k] >= r.x1);
    const int meets_y = static_cast<int>(y1[k] <= r.y2) & static_cast<int>(y2[k] >= r.y1);
    flags[k] = static_cast<std::uint8_t>(meets_x & meets_y);
  }
}

}  // namespace

void flag_meeting(const UprightBounds& row, const UprightBoundsArrays& columns, std::int64_t first,
                  std::int64_t count, std::uint8_t* flags) noexcept {
  flag_block(row, columns, first, count, flags);
}

}  // namespace geodet
