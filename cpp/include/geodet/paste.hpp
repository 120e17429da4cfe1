// Mask pasting: a small map of probabilities stretched over its box in the image.
//
// Every image pixel is sampled at its centre, bilinearly between the centres of the map's cells;
// beyond the outermost centres the map falls off to zero over one cell. paste_sampling.hpp has the
// maths. All arrays are row-major and contiguous.
#pragma once

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet {

struct PasteSizes {
  std::int64_t masks, mask_height, mask_width;  // of the probabilities
  std::int64_t height, width;                   // of the image
};

// Values of scratch for the functions below; -1 when `sizes` cannot be used.
std::int64_t paste_scratch_values(const PasteSizes& sizes) noexcept;

// Where the pasted value reaches the threshold, which is rounded to the type of the values.
//   probabilities [masks, mask_height, mask_width]; boxes [masks, 4]: rows x1, y1, x2, y2;
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

}  // namespace cuda
}  // namespace geodet
