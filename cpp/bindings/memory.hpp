// Scratch and results of a call.
#pragma once

#include <cstdint>
#include <memory>

namespace geodet::bindings {

// Uninitialised memory in whole int64, which aligns it for every element type.
inline std::unique_ptr<std::int64_t[]> memory_of(std::int64_t bytes) {
  return std::unique_ptr<std::int64_t[]>(new std::int64_t[static_cast<std::size_t>(bytes / 8 + 1)]);
}

}  // namespace geodet::bindings
