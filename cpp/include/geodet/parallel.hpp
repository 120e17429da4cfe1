// Split a loop over a few persistent threads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace geodet {

// Number of work items below which threads cost more than they save is the caller's to know: it
// passes num_threads = 1 for work under about a millisecond.
using RangeFunction = void (*)(void* context, std::int64_t begin, std::int64_t end);

// Calls `function(context, begin, end)` on disjoint ranges that cover [0, count), from at most
// num_threads threads, the caller's included. Ranges are cut in the same places whatever the
// threads do, so results that depend on their range alone are the same on every run.
// A call made while another is running, from inside one, or in a process that cannot start
// threads runs on the calling thread alone. Safe after fork(): the child starts its own threads.
void parallel_ranges(std::int64_t count, std::int64_t grain, int num_threads,
                     RangeFunction function, void* context) noexcept;

// parallel_ranges for a callable `body(begin, end)`.
template <typename Body>
void parallel_for(std::int64_t count, std::int64_t grain, int num_threads, Body&& body) noexcept {
  parallel_ranges(
      count, grain, num_threads,
      [](void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<std::remove_reference_t<Body>*>(context))(begin, end);
      },
      &body);
}

}  // namespace geodet
