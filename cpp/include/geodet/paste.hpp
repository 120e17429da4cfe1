// Mask pasting: a small map of probabilities stretched over its box in the image.
//
// Every image pixel is sampled at its centre, bilinearly between the centres of the map's cells;
// beyond the outermost centres the map falls off to zero over one cell. Boxes are upright or, with
// sizes.box_columns = 5, rotated; paste_sampling.hpp and paste_frame.hpp have the maths. All arrays
// are row-major and contiguous.
#pragma once

#include <cstdint>

#include "geodet/paste_sampling.hpp"
#include "geodet/status.hpp"

namespace geodet {

// Values of scratch for the functions below; -1 when `sizes` cannot be used.
std::int64_t paste_scratch_values(const PasteSizes& sizes) noexcept;

// Where the pasted value reaches the threshold, which is rounded to the type of the values.
//   probabilities [masks, mask_height, mask_width];
//   boxes [masks, box_columns]: rows x1, y1, x2, y2 or cx, cy, w, h, angle in degrees;
//   threshold: greater than 0; out [masks, height, width]: zeroed by the caller, and written only
//   where a box lies, so that lazily zeroed pages stay untouched.
// A box without area or with a coordinate that is not finite paints nothing.
Status paste_masks(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                   double threshold, float* scratch, bool* out, int num_threads) noexcept;
Status paste_masks(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                   double threshold, double* scratch, bool* out, int num_threads) noexcept;

// The pasted values themselves.
Status paste_probabilities(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                           float* scratch, float* out, int num_threads) noexcept;
Status paste_probabilities(const double* probabilities, const double* boxes,
                           const PasteSizes& sizes, double* scratch, double* out,
                           int num_threads) noexcept;

// Straight to run lengths (see rle.hpp), which no full-size image is made for: plan, scan and fill
// are called in this order. Pixels are those of paste_masks; an image has at most 2^31 - 1.

// Where a mask may paint, and what is known of its run lengths.
struct PasteWindow {
  std::int64_t x1, y1, x2, y2;  // half open
  std::int64_t first_word;      // of the mask's pixels in `words`
  std::int64_t num_runs;
};

// Values of scratch for paste_runs_scan; -1 when `sizes` cannot be used.
std::int64_t paste_runs_scratch_values(const PasteSizes& sizes) noexcept;

// Sets windows [masks]; returns how many words hold the pixels of all of them, one bit each.
std::int64_t paste_runs_plan(const float* boxes, const PasteSizes& sizes,
                             PasteWindow* windows) noexcept;
std::int64_t paste_runs_plan(const double* boxes, const PasteSizes& sizes,
                             PasteWindow* windows) noexcept;

// Sets the words and windows[i].num_runs, which the caller sums into offsets [masks + 1].
Status paste_runs_scan(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                       double threshold, PasteWindow* windows, float* scratch,
                       std::uint64_t* words, int num_threads) noexcept;
Status paste_runs_scan(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                       double threshold, PasteWindow* windows, double* scratch,
                       std::uint64_t* words, int num_threads) noexcept;

// counts [offsets[masks]]: canonical run lengths of all masks.
Status paste_runs_fill(const PasteWindow* windows, const PasteSizes& sizes,
                       const std::uint64_t* words, const std::int64_t* offsets,
                       std::int32_t* counts, int num_threads) noexcept;

namespace cuda {

// The same on device memory, without scratch; all of `out` is overwritten.
Status paste_masks(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                   double threshold, bool* out, void* stream) noexcept;
Status paste_masks(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                   double threshold, bool* out, void* stream) noexcept;
Status paste_probabilities(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                           float* out, void* stream) noexcept;
Status paste_probabilities(const double* probabilities, const double* boxes,
                           const PasteSizes& sizes, double* out, void* stream) noexcept;

// changes [masks, width]: in how many pixels of each column a pasted mask differs from the pixel
// before (see changes_at in rle_runs.hpp). There is at least one pixel.
Status paste_runs_count(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                        double threshold, std::int32_t* changes, void* stream) noexcept;
Status paste_runs_count(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                        double threshold, std::int32_t* changes, void* stream) noexcept;
// Positions of the changes of column k at positions + starts[k]; starts [masks * width].
Status paste_runs_fill(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                       double threshold, const std::int64_t* starts, std::int64_t* positions,
                       void* stream) noexcept;
Status paste_runs_fill(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                       double threshold, const std::int64_t* starts, std::int64_t* positions,
                       void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
