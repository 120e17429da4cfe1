#include "geodet/bit_components.hpp"

#include "launch.cuh"

namespace geodet::cuda {
namespace {

struct LowerAtomically {
  __device__ std::int32_t operator()(std::int32_t* address, std::int32_t value) const {
    return atomicMin(address, value);
  }
};

// Consecutive threads take consecutive rows of a column, as parents lie in memory.
__global__ void begin_kernel(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                             std::int64_t width, std::int32_t* parents) {
  const std::int64_t pixels = height * width;
  for (std::int64_t k = first_item(); k < n * pixels; k += item_stride()) {
    const std::int64_t pixel = k % pixels;
    const std::int64_t x = pixel / height;
    const std::int64_t y = pixel % height;
    const bool set = masks[k - pixel + y * width + x] != 0;
    parents[k] = set ? static_cast<std::int32_t>(pixel) : -1;
  }
}

__global__ void join_kernel(std::int64_t n, std::int64_t height, std::int64_t width, bool corners,
                            std::int32_t* parents) {
  const std::int64_t pixels = height * width;
  for (std::int64_t k = first_item(); k < n * pixels; k += item_stride()) {
    const std::int64_t pixel = k % pixels;
    join_neighbours(parents + k - pixel, height, pixel / height, pixel % height, corners,
                    LowerAtomically{});
  }
}

__global__ void flatten_kernel(std::int64_t n, std::int64_t pixels, std::int32_t* parents) {
  for (std::int64_t k = first_item(); k < n * pixels; k += item_stride()) {
    const std::int64_t pixel = k % pixels;
    if (parents[k] < 0) continue;
    // Other threads may flatten what lies on the way: every value on it is a set pixel nearer to
    // the same root.
    parents[k] = component_root(parents + k - pixel, parents[k]);
  }
}

__global__ void label_kernel(const std::int32_t* parents, const std::int32_t* ranks,
                             std::int64_t n, std::int64_t height, std::int64_t width,
                             std::int32_t* labels) {
  const std::int64_t pixels = height * width;
  for (std::int64_t k = first_item(); k < n * pixels; k += item_stride()) {
    const std::int64_t at = k % pixels;
    const std::int64_t mask = k - at;
    const std::int32_t root = parents[mask + at % width * height + at / width];
    labels[k] = root < 0 ? 0 : ranks[mask + root];
  }
}

bool are_sizes(std::int64_t n, std::int64_t height, std::int64_t width) {
  return n >= 0 && height >= 0 && width >= 0;
}

}  // namespace

Status find_components(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                       std::int64_t width, bool corners, std::int32_t* parents,
                       void* stream) noexcept {
  if (!are_sizes(n, height, width)) return Status::kInvalidArgument;
  const std::int64_t items = n * height * width;
  if (items == 0) return Status::kOk;
  const unsigned blocks = blocks_for(items);
  begin_kernel<<<blocks, kThreads, 0, as_stream(stream)>>>(masks, n, height, width, parents);
  join_kernel<<<blocks, kThreads, 0, as_stream(stream)>>>(n, height, width, corners, parents);
  flatten_kernel<<<blocks, kThreads, 0, as_stream(stream)>>>(n, height * width, parents);
  return launch_status();
}

Status label_components(const std::int32_t* parents, const std::int32_t* ranks, std::int64_t n,
                        std::int64_t height, std::int64_t width, std::int32_t* labels,
                        void* stream) noexcept {
  if (!are_sizes(n, height, width)) return Status::kInvalidArgument;
  const std::int64_t items = n * height * width;
  if (items == 0) return Status::kOk;
  label_kernel<<<blocks_for(items), kThreads, 0, as_stream(stream)>>>(parents, ranks, n, height,
                                                                      width, labels);
  return launch_status();
}

}  // namespace geodet::cuda
