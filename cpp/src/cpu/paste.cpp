#include "geodet/paste.hpp"

#include <algorithm>
#include <cmath>

#include "geodet/host_device.hpp"
#include "geodet/parallel.hpp"
#include "geodet/paste_sampling.hpp"

namespace geodet {
namespace {

// Columns whose taps are kept on the stack at a time.
constexpr std::int64_t kColumns = 256;
// Painted pixels below which threads cost more than they save: about a millisecond.
constexpr std::int64_t kParallelPixels = 1 << 20;

struct PixelRange {
  std::int64_t begin, end;
};

// Pixels of [0, size) that may read the mask; the exact test is is_on_mask.
template <typename T>
PixelRange pixels_near(const PasteAxis<T>& axis, std::int64_t cells, std::int64_t size) {
  if (!can_paste(axis)) return {0, 0};
  const double low = static_cast<double>(axis.low);
  const double high = static_cast<double>(axis.high);
  const double margin = (high - low) / static_cast<double>(cells) + 1;
  const double limit = static_cast<double>(size);
  const double begin = std::clamp(std::floor(low - margin), 0.0, limit);
  const double end = std::clamp(std::ceil(high + margin), 0.0, limit);
  return {static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)};
}

// Pixels of [0, size) that read the mask; positions grow with the pixel.
template <typename T>
PixelRange pixels_on(const PasteAxis<T>& axis, std::int64_t cells, std::int64_t size) {
  PixelRange range = pixels_near(axis, cells, size);
  const auto reads = [&](std::int64_t pixel) {
    return is_on_mask(mask_position(axis, pixel, cells), cells);
  };
  while (range.begin < range.end && !reads(range.begin)) ++range.begin;
  while (range.begin < range.end && !reads(range.end - 1)) --range.end;
  return range;
}

struct Threshold {
  template <typename T>
  static void store(T value, T threshold, bool* out) {
    *out = value >= threshold;
  }
};

struct Copy {
  template <typename T>
  static void store(T value, T, T* out) {
    *out = value;
  }
};

// Two rows of the mask blended into one, with a zero before and after it.
template <typename T>
GEODET_INLINE void blend_rows(const T* mask, const PasteSizes& s, const MaskTap<T>& tap,
                              T* __restrict row) {
  const std::int64_t w = s.mask_width;
  const T* low = mask + tap.low * w;
  const T* high = low + w;
  const bool has_low = tap.low >= 0;
  const bool has_high = tap.low + 1 < s.mask_height;
  row[0] = row[w + 1] = T(0);
  for (std::int64_t x = 0; x < w; ++x) {
    row[x + 1] = blend(has_low ? low[x] : T(0), has_high ? high[x] : T(0), tap.part);
  }
}

template <typename Store, typename T, typename Out>
GEODET_INLINE void paste_one(const T* mask, const T* box, const PasteSizes& s, T threshold, T* row,
                             Out* out) {
  const PasteAxis<T> x_axis{box[0], box[2]};
  const PasteAxis<T> y_axis{box[1], box[3]};
  const PixelRange xs = pixels_on(x_axis, s.mask_width, s.width);
  const PixelRange ys = pixels_on(y_axis, s.mask_height, s.height);
  if (ys.begin >= ys.end) return;
  for (std::int64_t begin = xs.begin; begin < xs.end; begin += kColumns) {
    const std::int64_t n = std::min(kColumns, xs.end - begin);
    std::int32_t lows[kColumns];
    T parts[kColumns];
    for (std::int64_t x = 0; x < n; ++x) {
      const MaskTap<T> tap = mask_tap(mask_position(x_axis, begin + x, s.mask_width));
      lows[x] = static_cast<std::int32_t>(tap.low + 1);  // a zero lies before the first cell
      parts[x] = tap.part;
    }
    for (std::int64_t y = ys.begin; y < ys.end; ++y) {
      blend_rows(mask, s, mask_tap(mask_position(y_axis, y, s.mask_height)), row);
      Out* target = out + y * s.width + begin;
      for (std::int64_t x = 0; x < n; ++x) {
        Store::store(blend(row[lows[x]], row[lows[x] + 1], parts[x]), threshold, target + x);
      }
    }
  }
}

GEODET_CLONES void paste_mask(const float* mask, const float* box, const PasteSizes& s,
                              float threshold, float* row, bool* out) {
  paste_one<Threshold>(mask, box, s, threshold, row, out);
}

GEODET_CLONES void paste_mask(const double* mask, const double* box, const PasteSizes& s,
                              double threshold, double* row, bool* out) {
  paste_one<Threshold>(mask, box, s, threshold, row, out);
}

GEODET_CLONES void paste_mask(const float* mask, const float* box, const PasteSizes& s,
                              float threshold, float* row, float* out) {
  paste_one<Copy>(mask, box, s, threshold, row, out);
}

GEODET_CLONES void paste_mask(const double* mask, const double* box, const PasteSizes& s,
                              double threshold, double* row, double* out) {
  paste_one<Copy>(mask, box, s, threshold, row, out);
}

bool usable(const PasteSizes& s) {
  return s.masks >= 0 && s.mask_height > 0 && s.mask_width > 0 && s.mask_width < INT32_MAX - 2 &&
         s.height >= 0 && s.width >= 0;
}

template <typename T>
std::int64_t painted_pixels(const T* boxes, const PasteSizes& s) {
  std::int64_t pixels = 0;
  for (std::int64_t i = 0; i < s.masks; ++i) {
    const T* box = boxes + 4 * i;
    const PixelRange xs = pixels_near(PasteAxis<T>{box[0], box[2]}, s.mask_width, s.width);
    const PixelRange ys = pixels_near(PasteAxis<T>{box[1], box[3]}, s.mask_height, s.height);
    pixels += (xs.end - xs.begin) * (ys.end - ys.begin);
  }
  return pixels;
}

template <typename T, typename Out>
Status paste(const T* probabilities, const T* boxes, const PasteSizes& s, double threshold,
             T* scratch, Out* out, int num_threads) noexcept {
  if (!usable(s) || !(threshold > 0)) return Status::kInvalidArgument;
  const int threads = painted_pixels(boxes, s) >= kParallelPixels ? num_threads : 1;
  parallel_for(s.masks, 1, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      paste_mask(probabilities + i * s.mask_height * s.mask_width, boxes + 4 * i, s,
                 static_cast<T>(threshold), scratch + i * (s.mask_width + 2),
                 out + i * s.height * s.width);
    }
  });
  return Status::kOk;
}

}  // namespace

std::int64_t paste_scratch_values(const PasteSizes& sizes) noexcept {
  return usable(sizes) ? sizes.masks * (sizes.mask_width + 2) : -1;
}

Status paste_masks(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                   double threshold, float* scratch, bool* out, int num_threads) noexcept {
  return paste(probabilities, boxes, sizes, threshold, scratch, out, num_threads);
}

Status paste_masks(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                   double threshold, double* scratch, bool* out, int num_threads) noexcept {
  return paste(probabilities, boxes, sizes, threshold, scratch, out, num_threads);
}

Status paste_probabilities(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                           float* scratch, float* out, int num_threads) noexcept {
  return paste(probabilities, boxes, sizes, 1.0, scratch, out, num_threads);
}

Status paste_probabilities(const double* probabilities, const double* boxes,
                           const PasteSizes& sizes, double* scratch, double* out,
                           int num_threads) noexcept {
  return paste(probabilities, boxes, sizes, 1.0, scratch, out, num_threads);
}

}  // namespace geodet
