// What is wrong with a batch of run lengths, in words.
#pragma once

#include <string>

#include "geodet/rle.hpp"
#include "invalid_value.hpp"

namespace geodet::bindings {

inline std::string describe(const RleReport& report) {
  const std::string row = " of mask " + std::to_string(report.row);
  const std::string found = std::to_string(report.found);
  switch (report.fault) {
    case RleFault::kNone:
      return "nothing";
    case RleFault::kOffsets:
      return "offsets: expected to rise from 0 to the number of counts, got " + found +
             " at the end" + row;
    case RleFault::kNegative:
      return "counts: expected run lengths of 0 or more, got " + found + " in the runs" + row;
    case RleFault::kSum:
      return "counts: expected the runs" + row + " to add up to " +
             std::to_string(report.num_pixels) + " pixels, got " + found +
             "; all masks of a batch have one height and width";
  }
  return "";
}

inline void raise_unless_sound(const RleReport& report, const char* name) {
  if (report.fault == RleFault::kNone) return;
  raise_invalid_value((name[0] != '\0' ? std::string(name) + ": " : "") + describe(report));
}

}  // namespace geodet::bindings
