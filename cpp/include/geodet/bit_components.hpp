// Connected components of dense masks, pixel by pixel: union-find that many threads share.
//
// Pixels of a mask are numbered column by column, as run lengths number them: pixel (x, y) of a
// mask of height h is x * h + y. A set pixel's parent is a set pixel of its component with a
// smaller or the same number, another pixel's is -1; so roots are the first pixels of components.
#pragma once

#include <cstdint>

#include "geodet/host_device.hpp"
#include "geodet/status.hpp"

namespace geodet {

GEODET_HD inline std::int32_t component_root(const std::int32_t* parents, std::int32_t pixel) {
  while (parents[pixel] != pixel) pixel = parents[pixel];
  return pixel;
}

// Joins the components of two pixels. `lower(address, value)` makes *address the smaller of both
// and returns what was there before, as one step that no other thread can come between.
template <typename Lower>
GEODET_HD void join_components(std::int32_t* parents, std::int32_t a, std::int32_t b,
                               Lower&& lower) {
  for (;;) {
    a = component_root(parents, a);
    b = component_root(parents, b);
    if (a == b) return;
    if (a < b) {
      const std::int32_t larger = b;
      b = a;
      a = larger;
    }
    const std::int32_t before = lower(parents + a, b);
    if (before == a) return;
    a = before;  // another thread gave `a` a parent first: that one has to be joined now
  }
}

// Joins a set pixel with its neighbours above and to the left.
template <typename Lower>
GEODET_HD void join_neighbours(std::int32_t* parents, std::int64_t height, std::int64_t x,
                               std::int64_t y, bool corners, Lower&& lower) {
  const auto pixel = static_cast<std::int32_t>(x * height + y);
  const auto h = static_cast<std::int32_t>(height);
  if (parents[pixel] < 0) return;
  if (y > 0 && parents[pixel - 1] >= 0) join_components(parents, pixel, pixel - 1, lower);
  if (x == 0) return;
  if (parents[pixel - h] >= 0) join_components(parents, pixel, pixel - h, lower);
  if (!corners) return;
  if (y > 0 && parents[pixel - h - 1] >= 0) join_components(parents, pixel, pixel - h - 1, lower);
  if (y + 1 < height && parents[pixel - h + 1] >= 0) {
    join_components(parents, pixel, pixel - h + 1, lower);
  }
}

namespace cuda {

// On device memory, queued on `stream` (a cudaStream_t). masks [n, h, w] of bytes 0 and 1;
// parents [n, w * h]: receives the root of every set pixel, -1 elsewhere.
Status find_components(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                       std::int64_t width, bool corners, std::int32_t* parents,
                       void* stream) noexcept;

// labels [n, h, w]: ranks [n, w * h] at the root of every set pixel, 0 elsewhere.
Status label_components(const std::int32_t* parents, const std::int32_t* ranks, std::int64_t n,
                        std::int64_t height, std::int64_t width, std::int32_t* labels,
                        void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
