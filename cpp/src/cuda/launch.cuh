// Small pieces every CUDA file uses to launch kernels.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet::cuda {

constexpr int kThreads = 256;
// Grid-stride loops cover what a capped grid leaves over.
constexpr std::int64_t kMaxBlocks = 1 << 16;

inline unsigned blocks_for(std::int64_t items, std::int64_t per_block = kThreads) {
  const std::int64_t blocks = (items + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
}

inline cudaStream_t as_stream(void* stream) { return static_cast<cudaStream_t>(stream); }

// Reads and clears the error of the launch before it.
inline Status launch_status() {
  return cudaGetLastError() == cudaSuccess ? Status::kOk : Status::kCudaError;
}

__device__ inline std::int64_t first_item() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ inline std::int64_t item_stride() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

}  // namespace geodet::cuda
