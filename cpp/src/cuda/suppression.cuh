// The second half of suppression on a device, whatever the boxes are.
#pragma once

#include <cstdint>

#include "launch.cuh"

namespace geodet::cuda {

constexpr int kTile = 64;  // boxes a tile; one bit of a word each
constexpr int kSweepThreads = 1024;

// One block walks the tiles best first. A tile is decided once every earlier box is, so each
// column of words is read once.
//   overlaps [n, (n + 63) / 64]: bit j of word t of row i says that box i would suppress box
//   64 t + j; keep [n]: 1 for kept boxes, else 0.
static __global__ void sweep_kernel(std::int64_t n, const std::uint64_t* overlaps,
                                    std::uint8_t* keep) {
  const std::int64_t words = (n + kTile - 1) / kTile;
  __shared__ std::uint64_t tile_removed;
  __shared__ std::uint64_t tile_kept;
  for (std::int64_t tile = 0; tile < words; ++tile) {
    const std::int64_t begin = tile * kTile;
    const int count = static_cast<int>(n - begin < kTile ? n - begin : kTile);
    if (threadIdx.x == 0) tile_removed = 0;
    __syncthreads();
    // Which boxes of this tile does an earlier kept box suppress?
    std::uint64_t removed = 0;
    for (std::int64_t row = threadIdx.x; row < begin; row += blockDim.x) {
      if (keep[row] != 0) removed |= overlaps[row * words + tile];
    }
    if (removed != 0) {
      atomicOr(reinterpret_cast<unsigned long long*>(&tile_removed),
               static_cast<unsigned long long>(removed));
    }
    __syncthreads();
    // Inside the tile one thread decides, best first.
    if (threadIdx.x == 0) {
      std::uint64_t gone = tile_removed;
      std::uint64_t kept = 0;
      for (int j = 0; j < count; ++j) {
        if ((gone >> j) & 1u) continue;
        kept |= 1ull << j;
        gone |= overlaps[(begin + j) * words + tile];
      }
      tile_kept = kept;
    }
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < count) {
      keep[begin + threadIdx.x] = static_cast<std::uint8_t>((tile_kept >> threadIdx.x) & 1u);
    }
    __syncthreads();
  }
}

}  // namespace geodet::cuda
