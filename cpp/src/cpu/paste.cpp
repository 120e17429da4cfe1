#include "geodet/paste.hpp"

#include <algorithm>

#include "geodet/host_device.hpp"
#include "geodet/parallel.hpp"
#include "geodet/paste_columns.hpp"
#include "geodet/paste_frame.hpp"

namespace geodet {
namespace {

// Columns that are blended at a time: with masks of 28 rows they stay in the first-level cache.
constexpr std::int64_t kColumns = 256;

struct Threshold {
  template <typename T>
  static GEODET_INLINE void store(T value, T threshold, bool* out) {
    *out = value >= threshold;
  }
};

struct Copy {
  template <typename T>
  static GEODET_INLINE void store(T value, T, T* out) {
    *out = value;
  }
};

template <typename Store, typename T, typename Out>
GEODET_INLINE void paste_one(const T* mask, const T* box, const PasteSizes& s, T threshold,
                             T* __restrict scratch, Out* out) {
  const PasteAxis<T> x_axis{box[0], box[2]};
  const PasteAxis<T> y_axis{box[1], box[3]};
  const PixelRange xs = pixels_on(x_axis, s.mask_width, s.width);
  const PixelRange ys = pixels_on(y_axis, s.mask_height, s.height);
  if (ys.begin >= ys.end) return;
  for (std::int64_t begin = xs.begin; begin < xs.end; begin += kColumns) {
    const std::int64_t count = std::min(kColumns, xs.end - begin);
    blend_columns<kColumns>(mask, x_axis, y_axis, ys, s, begin, count, scratch);
    for (std::int64_t y = ys.begin; y < ys.end; ++y) {
      const MaskTap<T> tap = mask_tap(mask_position(y_axis, y, s.mask_height));
      const T* low = scratch + (tap.low + 1) * kColumns;
      const T* high = low + kColumns;
      Out* __restrict target = out + y * s.width + begin;
      for (std::int64_t x = 0; x < count; ++x) {
        Store::store(blend(low[x], high[x], tap.part), threshold, target + x);
      }
    }
  }
}

template <typename Store, typename T, typename Out>
GEODET_INLINE void paste_turned(const T* mask, const PasteFrame& frame, const PasteSizes& s,
                                T threshold, Out* out) {
  const PixelRange xs = columns_near(frame, s);
  const PixelRange ys = rows_near(frame, s);
  for (std::int64_t y = ys.begin; y < ys.end; ++y) {
    const PixelRange row = pixels_in_row(frame, s, y, xs);
    Out* __restrict target = out + y * s.width;
    for (std::int64_t x = row.begin; x < row.end; ++x) {
      Store::store(framed_value(mask, frame, s, y, x), threshold, target + x);
    }
  }
}

GEODET_CLONES void paste_in_frame(const float* mask, const PasteFrame& frame, const PasteSizes& s,
                                  float threshold, bool* out) {
  paste_turned<Threshold>(mask, frame, s, threshold, out);
}

GEODET_CLONES void paste_in_frame(const double* mask, const PasteFrame& frame,
                                  const PasteSizes& s, double threshold, bool* out) {
  paste_turned<Threshold>(mask, frame, s, threshold, out);
}

GEODET_CLONES void paste_in_frame(const float* mask, const PasteFrame& frame, const PasteSizes& s,
                                  float threshold, float* out) {
  paste_turned<Copy>(mask, frame, s, threshold, out);
}

GEODET_CLONES void paste_in_frame(const double* mask, const PasteFrame& frame,
                                  const PasteSizes& s, double threshold, double* out) {
  paste_turned<Copy>(mask, frame, s, threshold, out);
}

GEODET_CLONES void paste_mask(const float* mask, const float* box, const PasteSizes& s,
                              float threshold, float* scratch, bool* out) {
  paste_one<Threshold>(mask, box, s, threshold, scratch, out);
}

GEODET_CLONES void paste_mask(const double* mask, const double* box, const PasteSizes& s,
                              double threshold, double* scratch, bool* out) {
  paste_one<Threshold>(mask, box, s, threshold, scratch, out);
}

GEODET_CLONES void paste_mask(const float* mask, const float* box, const PasteSizes& s,
                              float threshold, float* scratch, float* out) {
  paste_one<Copy>(mask, box, s, threshold, scratch, out);
}

GEODET_CLONES void paste_mask(const double* mask, const double* box, const PasteSizes& s,
                              double threshold, double* scratch, double* out) {
  paste_one<Copy>(mask, box, s, threshold, scratch, out);
}

template <typename T, typename Out>
Status paste(const T* probabilities, const T* boxes, const PasteSizes& s, double threshold,
             T* scratch, Out* out, int num_threads) noexcept {
  if (!can_use(s) || !(threshold > 0)) return Status::kInvalidArgument;
  const int threads = painted_pixels(boxes, s) >= kParallelPixels ? num_threads : 1;
  // Masks of one range share the scratch of its first: on one thread, all of them.
  const std::int64_t grain = threads > 1 ? 1 : s.masks;
  parallel_for(s.masks, grain, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* mask = probabilities + i * s.mask_height * s.mask_width;
      const T* box = boxes + s.box_columns * i;
      Out* image = out + i * s.height * s.width;
      if (s.box_columns == kRotatedColumns) {
        paste_in_frame(mask, paste_frame(box, s), s, static_cast<T>(threshold), image);
      } else {
        paste_mask(mask, box, s, static_cast<T>(threshold),
                   scratch + begin * column_values<kColumns>(s), image);
      }
    }
  });
  return Status::kOk;
}

}  // namespace

std::int64_t paste_scratch_values(const PasteSizes& sizes) noexcept {
  return can_use(sizes) ? sizes.masks * column_values<kColumns>(sizes) : -1;
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
