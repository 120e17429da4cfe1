#include "geodet/rotated_batch.hpp"

namespace geodet {
namespace {

GEODET_CLONES void intersect_all(RotatedBatch& batch) {
  const std::int64_t count = batch.count;
  for (std::int64_t k = 0; k < count; ++k) batch.area[k] = intersection_area(batch.pair(k));
}

}  // namespace

void intersect(RotatedBatch& batch) noexcept { intersect_all(batch); }

}  // namespace geodet
