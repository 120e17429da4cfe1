#include <limits>

#include "geodet/rle.hpp"

namespace geodet {
namespace {

constexpr int kAlphabetStart = 48;
constexpr int kGroupBits = 5;
constexpr int kGroupMask = 0x1f;
constexpr int kSignBit = 0x10;
constexpr int kMoreBit = 0x20;
// Seven groups hold the difference of any two 31-bit run lengths.
constexpr int kMaxGroups = 7;

// The numbers of the text: run lengths, from the fourth on relative to the one two before.
std::int64_t text_number(Runs runs, std::int64_t k) {
  const std::int64_t length = runs.lengths[k];
  return k > 2 ? length - runs.lengths[k - 2] : length;
}

// Calls emit(character) for every group of `number`. Division that rounds down keeps the sign of
// a negative number in every group, so the last one tells it.
template <typename Emit>
void write_number(std::int64_t number, Emit&& emit) {
  for (;;) {
    const int group = static_cast<int>(number & kGroupMask);
    number = (number - group) / (kGroupMask + 1);
    const bool negative = (group & kSignBit) != 0;
    const bool last = number == (negative ? -1 : 0);
    emit(static_cast<char>(kAlphabetStart + group + (last ? 0 : kMoreBit)));
    if (last) return;
  }
}

}  // namespace

std::int64_t rle_text_size(Runs runs) noexcept {
  std::int64_t size = 0;
  for (std::int64_t k = 0; k < runs.count; ++k) {
    write_number(text_number(runs, k), [&](char) { ++size; });
  }
  return size;
}

void rle_to_text(Runs runs, char* text) noexcept {
  for (std::int64_t k = 0; k < runs.count; ++k) {
    write_number(text_number(runs, k), [&](char character) { *text++ = character; });
  }
}

std::int64_t rle_text_num_runs(const char* text, std::int64_t size) noexcept {
  std::int64_t numbers = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    numbers += ((text[i] - kAlphabetStart) & kMoreBit) == 0 ? 1 : 0;
  }
  return numbers;
}

Status rle_from_text(const char* text, std::int64_t size, std::int32_t* counts,
                     std::int64_t* fault) noexcept {
  std::int64_t k = 0;       // run being read
  std::int64_t number = 0;  // its groups so far
  int groups = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    *fault = i;
    const int code = static_cast<unsigned char>(text[i]) - kAlphabetStart;
    if (code < 0 || code > (kMoreBit | kGroupMask) || groups == kMaxGroups) {
      return Status::kInvalidValue;
    }
    number |= static_cast<std::int64_t>(code & kGroupMask) << (kGroupBits * groups);
    ++groups;
    if ((code & kMoreBit) != 0) continue;
    if ((code & kSignBit) != 0) number -= std::int64_t{1} << (kGroupBits * groups);
    if (k > 2) number += counts[k - 2];
    if (number < 0 || number > std::numeric_limits<std::int32_t>::max()) {
      return Status::kInvalidValue;
    }
    counts[k++] = static_cast<std::int32_t>(number);
    number = 0;
    groups = 0;
  }
  return groups == 0 ? Status::kOk : Status::kInvalidValue;
}

}  // namespace geodet
