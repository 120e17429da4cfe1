#include "geodet/ranking.hpp"

#include <limits>

namespace geodet {
namespace {

template <typename T>
Status rank(const T* scores, std::int64_t n, void* scratch, std::int64_t* order) noexcept {
  using Bits = BitsOf<T>;
  if (n < 0 || static_cast<std::uint64_t>(n) > std::numeric_limits<Bits>::max()) {
    return Status::kInvalidArgument;
  }
  auto* items = static_cast<Ranked<Bits>*>(scratch);
  for (std::int64_t i = 0; i < n; ++i) items[i] = {best_first_key(scores[i]), static_cast<Bits>(i)};
  sort_by_key(items, items + n, n);
  for (std::int64_t r = 0; r < n; ++r) order[r] = static_cast<std::int64_t>(items[r].index);
  return Status::kOk;
}

}  // namespace

Status rank_best_first(const float* scores, std::int64_t n, void* scratch,
                       std::int64_t* order) noexcept {
  return rank(scores, n, scratch, order);
}

Status rank_best_first(const double* scores, std::int64_t n, void* scratch,
                       std::int64_t* order) noexcept {
  return rank(scores, n, scratch, order);
}

}  // namespace geodet
