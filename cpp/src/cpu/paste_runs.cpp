#include <algorithm>

#include "geodet/bits.hpp"
#include "geodet/host_device.hpp"
#include "geodet/parallel.hpp"
#include "geodet/paste.hpp"
#include "geodet/paste_columns.hpp"
#include "geodet/paste_frame.hpp"
#include "geodet/rle_runs.hpp"

namespace geodet {
namespace {

// Sets the words of 64 columns (or `count`) of a mask: rows are compared with the threshold as
// they lie in memory, 64 of them at a time are turned into columns of bits.
//   words [count, words_per_column]
template <typename T>
GEODET_INLINE void paint_strip(const PasteAxis<T>& y_axis, const PixelRange& ys,
                               const PasteSizes& s, std::int64_t count, T threshold,
                               const T* __restrict blended, std::uint64_t* __restrict words) {
  const std::int64_t words_per_column = (ys.end - ys.begin + kWordBits - 1) / kWordBits;
  for (std::int64_t block = 0; block < words_per_column; ++block) {
    std::uint64_t rows[kWordBits] = {};
    const std::int64_t top = ys.begin + block * kWordBits;
    const std::int64_t bottom = std::min(top + kWordBits, ys.end);
    for (std::int64_t y = top; y < bottom; ++y) {
      const MaskTap<T> tap = mask_tap(mask_position(y_axis, y, s.mask_height));
      const T* __restrict low = blended + (tap.low + 1) * kWordBits;
      const T* __restrict high = low + kWordBits;
      std::uint8_t bytes[kWordBits];
      for (std::int64_t x = 0; x < kWordBits; ++x) {
        bytes[x] = blend(low[x], high[x], tap.part) >= threshold ? 1 : 0;
      }
      rows[y - top] = pack_bytes(bytes);
    }
    transpose_bits(rows);
    for (std::int64_t x = 0; x < count; ++x) words[x * words_per_column + block] = rows[x];
  }
}

// Calls visit(position, bits) for the words of a mask in the order of its pixels: bit b says that
// the pixel at position + b differs from the one before it.
template <typename Visit>
GEODET_INLINE void for_each_change_word(const PasteWindow& window, const PasteSizes& s,
                                        const std::uint64_t* words, Visit&& visit) {
  const std::int64_t rows = window.y2 - window.y1;
  const std::int64_t words_per_column = (rows + kWordBits - 1) / kWordBits;
  const bool whole = rows == s.height;  // the next column follows without a gap
  std::uint64_t before = 0;
  for (std::int64_t x = window.x1; x < window.x2; ++x) {
    const std::int64_t top = x * s.height + window.y1;
    for (std::int64_t k = 0; k < words_per_column; ++k) {
      const std::int64_t left = rows - k * kWordBits;
      const std::uint64_t word = *words++;
      const std::uint64_t changed = (word ^ (word << 1 | before)) & low_bits(left);
      visit(top + k * kWordBits, changed);
      before = word >> (std::min(left, kWordBits) - 1) & 1u;
    }
    if (!whole) {
      visit(top + rows, before);
      before = 0;
    }
  }
  visit(window.x2 * s.height, before);
}

// Runs of a mask whose words are set.
GEODET_INLINE std::int64_t count_runs(const PasteWindow& window, const PasteSizes& s,
                                      const std::uint64_t* words) {
  const std::int64_t num_pixels = s.height * s.width;
  std::int64_t changes = 0;
  for_each_change_word(window, s, words, [&](std::int64_t position, std::uint64_t bits) {
    if (position < num_pixels) changes += count_ones(bits);
  });
  return changes + 1;
}

template <typename T>
GEODET_INLINE void scan_one(const T* mask, const T* box, const PasteSizes& s, T threshold,
                            PasteWindow* window, T* scratch, std::uint64_t* words) {
  const PasteAxis<T> x_axis{box[0], box[2]};
  const PasteAxis<T> y_axis{box[1], box[3]};
  const PixelRange ys{window->y1, window->y2};
  const std::int64_t words_per_column = (ys.end - ys.begin + kWordBits - 1) / kWordBits;
  std::uint64_t* strip = words;
  // A strip that is not full leaves columns that nobody blends; their words are not kept.
  std::fill(scratch, scratch + column_values<kWordBits>(s), T(0));
  for (std::int64_t begin = window->x1; begin < window->x2; begin += kWordBits) {
    const std::int64_t count = std::min(kWordBits, window->x2 - begin);
    blend_columns<kWordBits>(mask, x_axis, y_axis, ys, s, begin, count, scratch);
    paint_strip(y_axis, ys, s, count, threshold, scratch, strip);
    strip += count * words_per_column;
  }
  window->num_runs = count_runs(*window, s, words);
}

// A rotated mask, column by column: most of its window may lie beyond its corners.
template <typename T>
GEODET_INLINE void scan_turned(const T* mask, const PasteFrame& frame, const PasteSizes& s,
                               T threshold, PasteWindow* window, std::uint64_t* words) {
  const PixelRange ys{window->y1, window->y2};
  const std::int64_t words_per_column = (ys.end - ys.begin + kWordBits - 1) / kWordBits;
  for (std::int64_t x = window->x1; x < window->x2; ++x) {
    std::uint64_t* column = words + (x - window->x1) * words_per_column;
    std::fill(column, column + words_per_column, std::uint64_t{0});
    const PixelRange near = pixels_in_column(frame, s, x, ys);
    for (std::int64_t y = near.begin; y < near.end; ++y) {
      const bool painted = framed_value(mask, frame, s, y, x) >= threshold;
      const std::int64_t bit = y - ys.begin;
      column[bit / kWordBits] |= static_cast<std::uint64_t>(painted) << (bit % kWordBits);
    }
  }
  window->num_runs = count_runs(*window, s, words);
}

GEODET_CLONES void scan_in_frame(const float* mask, const PasteFrame& frame, const PasteSizes& s,
                                 float threshold, PasteWindow* window, std::uint64_t* words) {
  scan_turned(mask, frame, s, threshold, window, words);
}

GEODET_CLONES void scan_in_frame(const double* mask, const PasteFrame& frame, const PasteSizes& s,
                                 double threshold, PasteWindow* window, std::uint64_t* words) {
  scan_turned(mask, frame, s, threshold, window, words);
}

GEODET_CLONES void scan_mask(const float* mask, const float* box, const PasteSizes& s,
                             float threshold, PasteWindow* window, float* scratch,
                             std::uint64_t* words) {
  scan_one(mask, box, s, threshold, window, scratch, words);
}

GEODET_CLONES void scan_mask(const double* mask, const double* box, const PasteSizes& s,
                             double threshold, PasteWindow* window, double* scratch,
                             std::uint64_t* words) {
  scan_one(mask, box, s, threshold, window, scratch, words);
}

GEODET_CLONES void fill_mask(const PasteWindow& window, const PasteSizes& s,
                             const std::uint64_t* words, std::int32_t* counts) {
  const std::int64_t num_pixels = s.height * s.width;
  std::int64_t previous = 0;
  for_each_change_word(window, s, words, [&](std::int64_t position, std::uint64_t bits) {
    if (position >= num_pixels) return;
    for (; bits != 0; bits &= bits - 1) {
      const std::int64_t change = position + lowest_one(bits);
      *counts++ = static_cast<std::int32_t>(change - previous);
      previous = change;
    }
  });
  *counts = static_cast<std::int32_t>(num_pixels - previous);
}

bool is_countable(const PasteSizes& s) {
  return can_use(s) && (s.width == 0 || s.height <= kMaxMaskPixels / s.width);
}

std::int64_t window_pixels(const PasteWindow* windows, std::int64_t n) {
  std::int64_t pixels = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    pixels += (windows[i].x2 - windows[i].x1) * (windows[i].y2 - windows[i].y1);
  }
  return pixels;
}

template <typename T>
std::int64_t plan(const T* boxes, const PasteSizes& s, PasteWindow* windows) {
  std::int64_t words = 0;
  for (std::int64_t i = 0; i < s.masks; ++i) {
    const T* box = boxes + s.box_columns * i;
    PixelRange xs, ys;
    if (s.box_columns == kRotatedColumns) {
      const PasteFrame frame = paste_frame(box, s);
      xs = columns_near(frame, s);
      ys = rows_near(frame, s);
    } else {
      xs = pixels_on(PasteAxis<T>{box[0], box[2]}, s.mask_width, s.width);
      ys = pixels_on(PasteAxis<T>{box[1], box[3]}, s.mask_height, s.height);
    }
    if (xs.begin >= xs.end || ys.begin >= ys.end) xs = ys = {0, 0};
    windows[i] = {xs.begin, ys.begin, xs.end, ys.end, words, 0};
    words += (xs.end - xs.begin) * ((ys.end - ys.begin + kWordBits - 1) / kWordBits);
  }
  return words;
}

template <typename T>
Status scan(const T* probabilities, const T* boxes, const PasteSizes& s, double threshold,
            PasteWindow* windows, T* scratch, std::uint64_t* words, int num_threads) {
  if (!is_countable(s) || !(threshold > 0)) return Status::kInvalidArgument;
  const int threads = window_pixels(windows, s.masks) >= kParallelPixels ? num_threads : 1;
  // Masks of one range share the scratch of its first: on one thread, all of them.
  const std::int64_t grain = threads > 1 ? 1 : s.masks;
  parallel_for(s.masks, grain, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* mask = probabilities + i * s.mask_height * s.mask_width;
      const T* box = boxes + s.box_columns * i;
      std::uint64_t* own_words = words + windows[i].first_word;
      if (s.box_columns == kRotatedColumns) {
        scan_in_frame(mask, paste_frame(box, s), s, static_cast<T>(threshold), windows + i,
                      own_words);
      } else {
        scan_mask(mask, box, s, static_cast<T>(threshold), windows + i,
                  scratch + begin * column_values<kWordBits>(s), own_words);
      }
    }
  });
  return Status::kOk;
}

}  // namespace

std::int64_t paste_runs_scratch_values(const PasteSizes& sizes) noexcept {
  return is_countable(sizes) ? sizes.masks * column_values<kWordBits>(sizes) : -1;
}

std::int64_t paste_runs_plan(const float* boxes, const PasteSizes& sizes,
                             PasteWindow* windows) noexcept {
  return plan(boxes, sizes, windows);
}

std::int64_t paste_runs_plan(const double* boxes, const PasteSizes& sizes,
                             PasteWindow* windows) noexcept {
  return plan(boxes, sizes, windows);
}

Status paste_runs_scan(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                       double threshold, PasteWindow* windows, float* scratch,
                       std::uint64_t* words, int num_threads) noexcept {
  return scan(probabilities, boxes, sizes, threshold, windows, scratch, words, num_threads);
}

Status paste_runs_scan(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                       double threshold, PasteWindow* windows, double* scratch,
                       std::uint64_t* words, int num_threads) noexcept {
  return scan(probabilities, boxes, sizes, threshold, windows, scratch, words, num_threads);
}

Status paste_runs_fill(const PasteWindow* windows, const PasteSizes& sizes,
                       const std::uint64_t* words, const std::int64_t* offsets,
                       std::int32_t* counts, int num_threads) noexcept {
  if (!is_countable(sizes)) return Status::kInvalidArgument;
  const std::int64_t pixels = window_pixels(windows, sizes.masks);
  const int threads = pixels >= 4 * kParallelPixels ? num_threads : 1;
  parallel_for(sizes.masks, 1, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      fill_mask(windows[i], sizes, words + windows[i].first_word, counts + offsets[i]);
    }
  });
  return Status::kOk;
}

}  // namespace geodet
