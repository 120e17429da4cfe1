// What a kernel reports instead of throwing, printing or aborting.
#pragma once

namespace geodet {

enum class [[nodiscard]] Status {
  kOk = 0,
  kInvalidArgument,  // a size, count or flag that the declaration rules out
  kInvalidValue,     // data that cannot be used: run lengths that do not add up, bad text
  kOutOfRange,       // an index that points outside its array
  kTooSmall,         // an output or scratch buffer the caller gave is too small
  kCudaError,        // the CUDA runtime refused a launch; cudaGetLastError was read
};

}  // namespace geodet
