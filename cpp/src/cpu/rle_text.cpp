#include <cstring>
#include <limits>

#include "geodet/bits.hpp"
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
constexpr std::int64_t kWordBytes = 8;
constexpr std::uint64_t kOnes = 0x0101010101010101u;  // 1 in every byte

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

struct TextCursor {
  std::int64_t character, run;  // the next ones
};

// Reads up to `max_runs` runs in all. Stops at the character where something is wrong.
Status read_plainly(const char* text, std::int64_t size, std::int64_t max_runs,
                    std::int32_t* counts, TextCursor* at) {
  std::int64_t number = 0;  // groups read of the next run
  int groups = 0;
  for (; at->character < size && at->run < max_runs; ++at->character) {
    const int code = static_cast<unsigned char>(text[at->character]) - kAlphabetStart;
    if (code < 0 || code > (kMoreBit | kGroupMask) || groups == kMaxGroups) {
      return Status::kInvalidValue;
    }
    number |= static_cast<std::int64_t>(code & kGroupMask) << (kGroupBits * groups);
    ++groups;
    if ((code & kMoreBit) != 0) continue;
    if ((code & kSignBit) != 0) number -= std::int64_t{1} << (kGroupBits * groups);
    if (at->run > 2) number += counts[at->run - 2];
    if (number < 0 || number > std::numeric_limits<std::int32_t>::max()) {
      return Status::kInvalidValue;
    }
    counts[at->run++] = static_cast<std::int32_t>(number);
    number = 0;
    groups = 0;
  }
  if (groups == 0) return Status::kOk;
  --at->character;  // the last number is cut off
  return Status::kInvalidValue;
}

// Reads on from the fourth run, eight characters at a time, for as long as all is sound; what is
// wrong is left for the plain loop to say. No branch asks how long a number is: lengths alternate
// as no predictor learns.
void read_words(const char* text, std::int64_t size, std::int32_t* counts, TextCursor* at) {
  if (at->run < 3) return;
  std::int64_t two_before = counts[1];  // the run that the next one is relative to
  std::int64_t before = counts[2];
  while (at->character + kWordBytes <= size) {
    std::uint64_t word;
    // Little-endian, as all that we build for.
    std::memcpy(&word, text + at->character, sizeof(word));
    word -= kAlphabetStart * kOnes;
    std::uint64_t stops = ~word & (kMoreBit * kOnes);
    // Not even one number, or one of eight groups, or a character outside of the alphabet.
    if (stops << 8 == 0 || (word & (0xc0 * kOnes)) != 0) break;
    // Groups of five bits in eight, then ten in sixteen, twenty in thirty-two, forty.
    word &= kGroupMask * kOnes;
    word = (word & 0x001f001f001f001fu) | (word & 0x1f001f001f001f00u) >> 3;
    word = (word & 0x000003ff000003ffu) | (word & 0x03ff000003ff0000u) >> 6;
    word = (word & 0x00000000000fffffu) | (word & 0x000fffff00000000u) >> 12;
    std::int32_t* next = counts + at->run;
    std::int64_t beyond = 0;  // any bit above the 31 that a run has, of any number
    int begin = 0;            // character where the number begins
    for (; stops != 0; stops &= stops - 1) {
      const int end = (lowest_one(stops) + 3) / 8;
      const auto shifted = static_cast<std::int64_t>(word << (64 - kGroupBits * end));
      const std::int64_t number =
          (shifted >> (64 - kGroupBits * (end - begin))) + two_before;  // keeps the sign
      beyond |= number;
      *next++ = static_cast<std::int32_t>(number);
      two_before = before;
      before = number;
      begin = end;
    }
    if ((beyond & ~std::int64_t{std::numeric_limits<std::int32_t>::max()}) != 0) break;
    at->run = next - counts;
    at->character += begin;
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
  std::int64_t i = 0;
  for (; i + kWordBytes <= size; i += kWordBytes) {
    // Bit 5 of character - 48 is 0 where bits 4 and 5 of the character are equal.
    std::uint64_t word;
    std::memcpy(&word, text + i, sizeof(word));
    const std::uint64_t ends = ~(word >> 5 ^ word >> 4) & kOnes;
    numbers += static_cast<std::int64_t>((ends * kOnes) >> 56);
  }
  for (; i < size; ++i) numbers += ((text[i] - kAlphabetStart) & kMoreBit) == 0 ? 1 : 0;
  return numbers;
}

Status rle_from_text(const char* text, std::int64_t size, std::int32_t* counts,
                     std::int64_t* fault) noexcept {
  TextCursor at{0, 0};
  Status status = read_plainly(text, size, 3, counts, &at);
  if (status == Status::kOk) {
    read_words(text, size, counts, &at);
    status = read_plainly(text, size, size, counts, &at);
  }
  if (status != Status::kOk) *fault = at.character;
  return status;
}

}  // namespace geodet
