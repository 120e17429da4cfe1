#include "geodet/paste.hpp"

#include "geodet/paste_frame.hpp"
#include "geodet/paste_sampling.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

template <typename T>
__device__ void store(T value, T threshold, bool* out) {
  *out = value >= threshold;
}

template <typename T>
__device__ void store(T value, T, T* out) {
  *out = value;
}

template <typename T, typename Out>
__global__ void paste_kernel(const T* probabilities, const T* boxes, PasteSizes s, T threshold,
                             std::int64_t items, Out* out) {
  for (std::int64_t k = first_item(); k < items; k += item_stride()) {
    const std::int64_t row = k / s.width;
    const std::int64_t mask = row / s.height;
    const T value = pasted_value(probabilities + mask * s.mask_height * s.mask_width,
                                 boxes + 4 * mask, s, row % s.height, k % s.width);
    store(value, threshold, out + k);
  }
}

template <typename T, typename Out>
__global__ void paste_turned_kernel(const T* probabilities, const T* boxes, PasteSizes s,
                                    T threshold, std::int64_t items, Out* out) {
  for (std::int64_t k = first_item(); k < items; k += item_stride()) {
    const std::int64_t row = k / s.width;
    const std::int64_t mask = row / s.height;
    const std::int64_t y = row % s.height;
    const std::int64_t x = k % s.width;
    const T* box = boxes + kRotatedColumns * mask;
    T value = T(0);
    if (!is_beyond_reach(box, y, x)) {
      const PasteFrame frame = paste_frame(box, s);
      if (frame.paints) {
        value = framed_value(probabilities + mask * s.mask_height * s.mask_width, frame, s, y, x);
      }
    }
    store(value, threshold, out + k);
  }
}

// One mask as its columns are read: value(y, x), and the rows of a column that may not be 0.
template <typename T>
struct UprightMask {
  const T* mask;
  const T* box;
  const PasteSizes& s;
  __device__ T value(std::int64_t y, std::int64_t x) const {
    return pasted_value(mask, box, s, y, x);
  }
  __device__ PixelRange rows(std::int64_t) const {
    return pixels_near(PasteAxis<T>{box[1], box[3]}, s.mask_height, s.height);
  }
};

template <typename T>
struct TurnedMask {
  const T* mask;
  const PasteFrame frame;
  const PasteSizes& s;
  __device__ T value(std::int64_t y, std::int64_t x) const {
    return frame.paints ? framed_value(mask, frame, s, y, x) : T(0);
  }
  __device__ PixelRange rows(std::int64_t x) const {
    return pixels_in_column(frame, s, x, rows_near(frame, s));
  }
};

// Calls visit(y) for the pixels of column x that differ from the pixel before them.
template <typename T, typename Mask, typename Visit>
__device__ void visit_changes(const Mask& pasted, const PasteSizes& s, T threshold, std::int64_t x,
                              Visit&& visit) {
  const PixelRange ys = pasted.rows(x);
  bool before = x > 0 && pasted.value(s.height - 1, x - 1) >= threshold;
  if (before && ys.begin > 0) {
    visit(std::int64_t{0});
    before = false;
  }
  for (std::int64_t y = ys.begin; y < ys.end; ++y) {
    const bool here = pasted.value(y, x) >= threshold;
    if (here != before) visit(y);
    before = here;
  }
  if (before && ys.end < s.height) visit(ys.end);
}

// The same for a mask of either kind of boxes.
template <typename T, typename Visit>
__device__ void for_each_change(const T* probabilities, const T* boxes, const PasteSizes& s,
                                T threshold, std::int64_t index, std::int64_t x, Visit&& visit) {
  const T* mask = probabilities + index * s.mask_height * s.mask_width;
  const T* box = boxes + s.box_columns * index;
  if (s.box_columns == kRotatedColumns) {
    visit_changes(TurnedMask<T>{mask, paste_frame(box, s), s}, s, threshold, x, visit);
  } else {
    visit_changes(UprightMask<T>{mask, box, s}, s, threshold, x, visit);
  }
}

template <typename T>
__global__ void runs_count_kernel(const T* probabilities, const T* boxes, PasteSizes s,
                                  T threshold, std::int32_t* changes) {
  for (std::int64_t k = first_item(); k < s.masks * s.width; k += item_stride()) {
    const std::int64_t mask = k / s.width;
    std::int32_t count = 0;
    for_each_change(probabilities, boxes, s, threshold, mask, k % s.width,
                    [&](std::int64_t) { ++count; });
    changes[k] = count;
  }
}

template <typename T>
__global__ void runs_fill_kernel(const T* probabilities, const T* boxes, PasteSizes s, T threshold,
                                 const std::int64_t* starts, std::int64_t* positions) {
  for (std::int64_t k = first_item(); k < s.masks * s.width; k += item_stride()) {
    const std::int64_t mask = k / s.width;
    const std::int64_t x = k % s.width;
    std::int64_t next = starts[k];
    for_each_change(probabilities, boxes, s, threshold, mask, x,
                    [&](std::int64_t y) { positions[next++] = x * s.height + y; });
  }
}

bool can_use(const PasteSizes& s) {
  return s.masks >= 0 && s.mask_height > 0 && s.mask_width > 0 && s.height >= 0 && s.width >= 0 &&
         (s.box_columns == kUprightColumns || s.box_columns == kRotatedColumns);
}

template <typename T, typename Out>
Status launch(const T* probabilities, const T* boxes, const PasteSizes& s, double threshold,
              Out* out, void* stream) noexcept {
  if (!can_use(s) || !(threshold > 0)) return Status::kInvalidArgument;
  const std::int64_t items = s.masks * s.height * s.width;
  if (items == 0) return Status::kOk;
  if (s.box_columns == kRotatedColumns) {
    paste_turned_kernel<<<blocks_for(items), kThreads, 0, as_stream(stream)>>>(
        probabilities, boxes, s, static_cast<T>(threshold), items, out);
  } else {
    paste_kernel<<<blocks_for(items), kThreads, 0, as_stream(stream)>>>(
        probabilities, boxes, s, static_cast<T>(threshold), items, out);
  }
  return launch_status();
}

template <typename T>
Status launch_count(const T* probabilities, const T* boxes, const PasteSizes& s, double threshold,
                    std::int32_t* changes, void* stream) noexcept {
  if (!can_use(s) || !(threshold > 0)) return Status::kInvalidArgument;
  const std::int64_t columns = s.masks * s.width;
  if (columns * s.height == 0) return Status::kInvalidArgument;
  runs_count_kernel<<<blocks_for(columns), kThreads, 0, as_stream(stream)>>>(
      probabilities, boxes, s, static_cast<T>(threshold), changes);
  return launch_status();
}

template <typename T>
Status launch_fill(const T* probabilities, const T* boxes, const PasteSizes& s, double threshold,
                   const std::int64_t* starts, std::int64_t* positions, void* stream) noexcept {
  if (!can_use(s) || !(threshold > 0)) return Status::kInvalidArgument;
  const std::int64_t columns = s.masks * s.width;
  if (columns * s.height == 0) return Status::kInvalidArgument;
  runs_fill_kernel<<<blocks_for(columns), kThreads, 0, as_stream(stream)>>>(
      probabilities, boxes, s, static_cast<T>(threshold), starts, positions);
  return launch_status();
}

}  // namespace

Status paste_masks(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                   double threshold, bool* out, void* stream) noexcept {
  return launch(probabilities, boxes, sizes, threshold, out, stream);
}

Status paste_masks(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                   double threshold, bool* out, void* stream) noexcept {
  return launch(probabilities, boxes, sizes, threshold, out, stream);
}

Status paste_probabilities(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                           float* out, void* stream) noexcept {
  return launch(probabilities, boxes, sizes, 1.0, out, stream);
}

Status paste_probabilities(const double* probabilities, const double* boxes,
                           const PasteSizes& sizes, double* out, void* stream) noexcept {
  return launch(probabilities, boxes, sizes, 1.0, out, stream);
}

Status paste_runs_count(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                        double threshold, std::int32_t* changes, void* stream) noexcept {
  return launch_count(probabilities, boxes, sizes, threshold, changes, stream);
}

Status paste_runs_count(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                        double threshold, std::int32_t* changes, void* stream) noexcept {
  return launch_count(probabilities, boxes, sizes, threshold, changes, stream);
}

Status paste_runs_fill(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                       double threshold, const std::int64_t* starts, std::int64_t* positions,
                       void* stream) noexcept {
  return launch_fill(probabilities, boxes, sizes, threshold, starts, positions, stream);
}

Status paste_runs_fill(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                       double threshold, const std::int64_t* starts, std::int64_t* positions,
                       void* stream) noexcept {
  return launch_fill(probabilities, boxes, sizes, threshold, starts, positions, stream);
}

}  // namespace geodet::cuda
