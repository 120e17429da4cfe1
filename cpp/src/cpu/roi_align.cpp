#include "geodet/roi_align.hpp"

#include <algorithm>

#include "geodet/host_device.hpp"
#include "geodet/lanes.hpp"
#include "geodet/parallel.hpp"
#include "geodet/roi_sampling.hpp"

namespace geodet {
namespace {

// Rows of cells that are summed at the same time.
constexpr std::int64_t kRows = 4;
// Columns that are collapsed before they are summed into cells; they stay in the first cache.
constexpr std::int64_t kSegment = 128;
// Planes of a channel block should stay in the second cache while all rois read them.
constexpr std::int64_t kBlockBytes = 1 << 20;
constexpr std::int64_t kMaxBlockChannels = 16;
// Plans of all rois of a batch exist at the same time.
constexpr std::int64_t kMaxPlanBytes = 1 << 26;
constexpr std::int64_t kRoisPerItem = 64;
// Outputs below which threads cost more than they save: about a millisecond.
constexpr std::int64_t kParallelOutputs = 1 << 19;

// Consecutive pixels that one cell (or one group of kLanes cells) reads.
struct Interval {
  std::int64_t first;
  std::int64_t count;
  std::int64_t weights;  // where its weights begin
};

std::int64_t groups_of(std::int64_t cells) { return (cells + kLanes - 1) / kLanes; }

// Weights of one roi, at most. Cells follow each other, so that along an axis they read
// `size` pixels and two more a cell; columns are padded to whole vectors for the gradient.
std::int64_t max_weights(const RoiAlignSizes& s) {
  const std::int64_t rows = s.height + 2 * s.out_height;
  const std::int64_t columns = s.width + (2 + kLanes) * s.out_width;
  const std::int64_t lanes = kLanes * (s.width + 2 * s.out_width);
  return rows + columns + lanes;
}

std::int64_t intervals_per_roi(const RoiAlignSizes& s) {
  return s.out_height + s.out_width + groups_of(s.out_width);
}

bool usable(const RoiAlignSizes& s) {
  return s.images >= 0 && s.channels >= 0 && s.height >= 0 && s.width >= 0 && s.rois >= 0 &&
         s.out_height > 0 && s.out_width > 0 && s.sampling_ratio >= 0 &&
         s.sampling_ratio <= kMaxSamplingRatio && s.spatial_scale > 0 &&
         is_finite(s.spatial_scale);
}

std::int64_t plan_bytes(const RoiAlignSizes& s, std::int64_t element_size) {
  return intervals_per_roi(s) * static_cast<std::int64_t>(sizeof(Interval)) +
         max_weights(s) * element_size;
}

std::int64_t rois_per_batch(const RoiAlignSizes& s, std::int64_t element_size) {
  const std::int64_t fitting = kMaxPlanBytes / plan_bytes(s, element_size);
  return std::max<std::int64_t>(1, std::min(s.rois, fitting));
}

std::int64_t channels_per_block(const RoiAlignSizes& s, std::int64_t element_size) {
  const std::int64_t plane = std::max<std::int64_t>(1, s.height * s.width * element_size);
  return std::clamp<std::int64_t>(kBlockBytes / plane, 1, kMaxBlockChannels);
}

std::int64_t channel_blocks(const RoiAlignSizes& s, std::int64_t element_size) {
  const std::int64_t channels = channels_per_block(s, element_size);
  return (s.channels + channels - 1) / channels;
}

// A row of gradients, padded so that whole vectors can be added at its end.
std::int64_t gradient_row(const RoiAlignSizes& s) { return s.width + kLanes; }

// Walks the samples of a cell. Positions are kept from running back by a rounding error, which
// bounds the pixels that all cells together read.
template <typename T, typename Visit>
T visit_samples(const RoiAxis<T>& axis, std::int64_t cell, std::int64_t size, T previous,
                Visit&& visit) {
  const SampleRange range = sample_range(axis, cell, size);
  for (std::int64_t sample = range.begin; sample < range.end; ++sample) {
    const T position = sample_position(axis, cell, sample);
    if (!is_inside(position, size)) continue;
    previous = axis.cell >= T(0) ? std::max(position, previous) : std::min(position, previous);
    visit(tap_at(previous, size));
  }
  return previous;
}

// Intervals and weights of all cells along one axis; returns the first weight that is left free.
template <typename T>
std::int64_t plan_axis(const RoiAxis<T>& axis, std::int64_t cells, std::int64_t size,
                       std::int64_t padding, Interval* intervals, T* weights, std::int64_t used) {
  T previous = axis.cell >= T(0) ? T(-1) : static_cast<T>(size);
  for (std::int64_t cell = 0; cell < cells; ++cell) {
    std::int64_t first = size;
    std::int64_t last = -1;
    visit_samples(axis, cell, size, previous, [&](const Tap<T>& tap) {
      first = std::min(first, tap.low);
      last = std::max(last, tap.high);
    });
    const std::int64_t count = std::max<std::int64_t>(0, last - first + 1);
    intervals[cell] = {count > 0 ? first : 0, count, used};
    T* own = weights + used;
    const std::int64_t padded = (count + padding - 1) / padding * padding;
    std::fill(own, own + padded, T(0));
    previous = visit_samples(axis, cell, size, previous, [&](const Tap<T>& tap) {
      own[tap.low - first] += tap.low_weight;
      own[tap.high - first] += tap.high_weight;
    });
    for (std::int64_t k = 0; k < count; ++k) own[k] /= static_cast<T>(axis.samples);
    used += padded;
  }
  return used;
}

// Turns the columns of kLanes cells into one table [pixel, lane].
template <typename T>
std::int64_t plan_groups(const Interval* columns, std::int64_t cells, Interval* groups, T* weights,
                         std::int64_t used) {
  for (std::int64_t begin = 0; begin < cells; begin += kLanes) {
    const std::int64_t end = std::min(begin + kLanes, cells);
    std::int64_t first = INT64_MAX;
    std::int64_t last = 0;
    for (std::int64_t cell = begin; cell < end; ++cell) {
      if (columns[cell].count == 0) continue;
      first = std::min(first, columns[cell].first);
      last = std::max(last, columns[cell].first + columns[cell].count);
    }
    const std::int64_t count = std::max<std::int64_t>(0, last - std::min(first, last));
    groups[begin / kLanes] = {count > 0 ? first : 0, count, used};
    T* own = weights + used;
    std::fill(own, own + count * kLanes, T(0));
    for (std::int64_t cell = begin; cell < end; ++cell) {
      for (std::int64_t k = 0; k < columns[cell].count; ++k) {
        own[(columns[cell].first + k - first) * kLanes + cell - begin] =
            weights[columns[cell].weights + k];
      }
    }
    used += count * kLanes;
  }
  return used;
}

// The weights of a batch of rois, in the caller's scratch.
template <typename T>
class Plan {
 public:
  Plan(void* scratch, const RoiAlignSizes& sizes, std::int64_t batch)
      : sizes_(sizes),
        intervals_(static_cast<Interval*>(scratch)),
        weights_(reinterpret_cast<T*>(intervals_ + batch * intervals_per_roi(sizes))) {}

  void build(const T* rois, std::int64_t count, bool with_groups) {
    const RoiAlignSizes& s = sizes_;
    const T scale = static_cast<T>(s.spatial_scale);
    std::int64_t used = 0;
    for (std::int64_t r = 0; r < count; ++r) {
      const T* roi = rois + 5 * r;
      RoiAxis<T> x = roi_axis(roi[1], roi[3], scale, s.aligned, s.out_width, s.sampling_ratio);
      RoiAxis<T> y = roi_axis(roi[2], roi[4], scale, s.aligned, s.out_height, s.sampling_ratio);
      // Without a sample on one axis there is none at all.
      if (x.samples == 0 || y.samples == 0) x.samples = y.samples = 0;
      used = plan_axis(y, s.out_height, s.height, 1, rows(r), weights_, used);
      used = plan_axis(x, s.out_width, s.width, kLanes, columns(r), weights_, used);
      if (with_groups) used = plan_groups(columns(r), s.out_width, groups(r), weights_, used);
    }
  }

  Interval* rows(std::int64_t r) const { return intervals_ + r * intervals_per_roi(sizes_); }
  Interval* columns(std::int64_t r) const { return rows(r) + sizes_.out_height; }
  Interval* groups(std::int64_t r) const { return columns(r) + sizes_.out_width; }
  const T* weights() const { return weights_; }

 private:
  const RoiAlignSizes& sizes_;
  Interval* intervals_;
  T* weights_;
};

// Weighted sum of n columns of some rows. Rows between distant samples have no weight.
template <typename T>
GEODET_INLINE void collapse_rows(const T* source, std::int64_t stride, const T* weights,
                                 std::int64_t rows, std::int64_t n, T* sum) {
  if (n < kLanes) {
    for (std::int64_t x = 0; x < n; ++x) {
      T total = T(0);
      for (std::int64_t y = 0; y < rows; ++y) {
        if (weights[y] != T(0)) total += weights[y] * source[y * stride + x];
      }
      sum[x] = total;
    }
    return;
  }
  for (std::int64_t next = 0; next < n; next += kLanes) {
    // The last vector ends with the last column and repeats a few of the one before it.
    const std::int64_t x = next + kLanes <= n ? next : n - kLanes;
    Lanes<T> total{};
    for (std::int64_t y = 0; y < rows; ++y) {
      if (weights[y] != T(0)) total.add_scaled(weights[y], source + y * stride + x);
    }
    total.store(sum + x);
  }
}

// One roi on one plane: rows are collapsed first, then the columns of kLanes cells, one a lane.
template <typename T>
GEODET_INLINE void pool_plane(const T* plane, const RoiAlignSizes& s, const Interval* rows,
                              const Interval* groups, const T* weights, T* out) {
  for (std::int64_t left = 0; left < s.out_width; left += kLanes) {
    const Interval group = groups[left / kLanes];
    const std::int64_t lanes = std::min(kLanes, s.out_width - left);
    for (std::int64_t top = 0; top < s.out_height; top += kRows) {
      const std::int64_t num_rows = std::min(kRows, s.out_height - top);
      Lanes<T> sums[kRows] = {};
      T collapsed[kRows][kSegment];
      for (std::int64_t begin = 0; begin < group.count; begin += kSegment) {
        const std::int64_t n = std::min(kSegment, group.count - begin);
        for (std::int64_t r = 0; r < kRows; ++r) {
          const Interval row = r < num_rows ? rows[top + r] : Interval{0, 0, 0};
          collapse_rows(plane + row.first * s.width + group.first + begin, s.width,
                        weights + row.weights, row.count, n, collapsed[r]);
        }
        const T* table = weights + group.weights + begin * kLanes;
        for (std::int64_t x = 0; x < n; ++x) {
          for (std::int64_t r = 0; r < kRows; ++r) {
            sums[r].add_scaled(collapsed[r][x], table + x * kLanes);
          }
        }
      }
      for (std::int64_t r = 0; r < num_rows; ++r) {
        T cells[kLanes];
        sums[r].store(cells);
        std::copy(cells, cells + lanes, out + (top + r) * s.out_width + left);
      }
    }
  }
}

// The gradient of pool_plane, added to `plane`; `spread` holds a row.
template <typename T>
GEODET_INLINE void unpool_plane(const T* grad, const RoiAlignSizes& s, const Interval* rows,
                                const Interval* columns, const T* weights, T* __restrict spread,
                                T* plane) {
  std::int64_t first = s.width;
  std::int64_t last = 0;
  for (std::int64_t cell = 0; cell < s.out_width; ++cell) {
    if (columns[cell].count == 0) continue;
    first = std::min(first, columns[cell].first);
    last = std::max(last, columns[cell].first + columns[cell].count);
  }
  if (last <= first) return;
  const std::int64_t n = last - first;
  for (std::int64_t top = 0; top < s.out_height; ++top) {
    if (rows[top].count == 0) continue;
    for (std::int64_t x = 0; x < n + kLanes; ++x) spread[x] = T(0);
    for (std::int64_t cell = 0; cell < s.out_width; ++cell) {
      const T value = grad[top * s.out_width + cell];
      const T* __restrict own = weights + columns[cell].weights;
      T* __restrict target = spread + columns[cell].first - first;
      for (std::int64_t x = 0; x < columns[cell].count; x += kLanes) {
        Lanes<T> sum;
        sum.load(target + x);
        sum.add_scaled(value, own + x);
        sum.store(target + x);
      }
    }
    for (std::int64_t y = 0; y < rows[top].count; ++y) {
      const T weight = weights[rows[top].weights + y];
      if (weight == T(0)) continue;
      T* __restrict row = plane + (rows[top].first + y) * s.width + first;
      for (std::int64_t x = 0; x < n; ++x) row[x] += weight * spread[x];
    }
  }
}

struct Channels {
  std::int64_t begin, end;
};

template <typename T>
GEODET_INLINE void pool(const T* features, const T* rois, const RoiAlignSizes& s,
                        const Plan<T>& plan, std::int64_t begin, std::int64_t end,
                        Channels channels, T* out) {
  const std::int64_t cells = s.out_height * s.out_width;
  for (std::int64_t r = begin; r < end; ++r) {
    const std::int64_t image = image_index(rois[5 * r], s.images);
    for (std::int64_t c = channels.begin; c < channels.end; ++c) {
      pool_plane(features + (image * s.channels + c) * s.height * s.width, s, plan.rows(r),
                 plan.groups(r), plan.weights(), out + (r * s.channels + c) * cells);
    }
  }
}

template <typename T>
GEODET_INLINE void unpool(const T* grad_out, const T* rois, const RoiAlignSizes& s,
                          const Plan<T>& plan, std::int64_t count, Channels channels, T* spread,
                          T* grad_features) {
  const std::int64_t cells = s.out_height * s.out_width;
  for (std::int64_t r = 0; r < count; ++r) {
    const std::int64_t image = image_index(rois[5 * r], s.images);
    for (std::int64_t c = channels.begin; c < channels.end; ++c) {
      unpool_plane(grad_out + (r * s.channels + c) * cells, s, plan.rows(r), plan.columns(r),
                   plan.weights(), spread,
                   grad_features + (image * s.channels + c) * s.height * s.width);
    }
  }
}

GEODET_CLONES void pool_channels(const float* features, const float* rois, const RoiAlignSizes& s,
                                 const Plan<float>& plan, std::int64_t begin, std::int64_t end,
                                 Channels channels, float* out) {
  pool(features, rois, s, plan, begin, end, channels, out);
}

GEODET_CLONES void pool_channels(const double* features, const double* rois,
                                 const RoiAlignSizes& s, const Plan<double>& plan,
                                 std::int64_t begin, std::int64_t end, Channels channels,
                                 double* out) {
  pool(features, rois, s, plan, begin, end, channels, out);
}

GEODET_CLONES void unpool_channels(const float* grad_out, const float* rois,
                                   const RoiAlignSizes& s, const Plan<float>& plan,
                                   std::int64_t count, Channels channels, float* spread,
                                   float* grad_features) {
  unpool(grad_out, rois, s, plan, count, channels, spread, grad_features);
}

GEODET_CLONES void unpool_channels(const double* grad_out, const double* rois,
                                   const RoiAlignSizes& s, const Plan<double>& plan,
                                   std::int64_t count, Channels channels, double* spread,
                                   double* grad_features) {
  unpool(grad_out, rois, s, plan, count, channels, spread, grad_features);
}

template <typename T>
Status check(const T* rois, const RoiAlignSizes& s) {
  if (!usable(s)) return Status::kInvalidArgument;
  for (std::int64_t r = 0; r < s.rois; ++r) {
    if (image_index(rois[5 * r], s.images) < 0) return Status::kOutOfRange;
  }
  return Status::kOk;
}

Channels block_channels(const RoiAlignSizes& s, std::int64_t block, std::int64_t per_block) {
  return {block * per_block, std::min((block + 1) * per_block, s.channels)};
}

int useful_threads(const RoiAlignSizes& s, std::int64_t rois, int num_threads) {
  const std::int64_t outputs = rois * s.channels * s.out_height * s.out_width;
  return outputs >= kParallelOutputs ? num_threads : 1;
}

template <typename T>
Status forward(const T* features, const T* rois, const RoiAlignSizes& s, void* scratch, T* out,
               int num_threads) noexcept {
  const Status status = check(rois, s);
  if (status != Status::kOk) return status;
  const std::int64_t batch = rois_per_batch(s, sizeof(T));
  const std::int64_t per_block = channels_per_block(s, sizeof(T));
  const std::int64_t blocks = channel_blocks(s, sizeof(T));
  Plan<T> plan(scratch, s, batch);
  for (std::int64_t start = 0; start < s.rois; start += batch) {
    const std::int64_t count = std::min(batch, s.rois - start);
    plan.build(rois + 5 * start, count, true);
    T* batch_out = out + start * s.channels * s.out_height * s.out_width;
    const std::int64_t pieces = (count + kRoisPerItem - 1) / kRoisPerItem;
    parallel_for(blocks * pieces, 1, useful_threads(s, count, num_threads),
                 [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t item = begin; item < end; ++item) {
        const std::int64_t first = item % pieces * kRoisPerItem;
        pool_channels(features, rois + 5 * start, s, plan, first,
                      std::min(first + kRoisPerItem, count),
                      block_channels(s, item / pieces, per_block), batch_out);
      }
    });
  }
  return Status::kOk;
}

template <typename T>
Status backward(const T* grad_out, const T* rois, const RoiAlignSizes& s, void* scratch,
                T* grad_features, int num_threads) noexcept {
  const Status status = check(rois, s);
  if (status != Status::kOk) return status;
  const std::int64_t batch = rois_per_batch(s, sizeof(T));
  const std::int64_t per_block = channels_per_block(s, sizeof(T));
  auto* spread = reinterpret_cast<T*>(static_cast<char*>(scratch) +
                                      batch * plan_bytes(s, sizeof(T)));
  Plan<T> plan(scratch, s, batch);
  for (std::int64_t start = 0; start < s.rois; start += batch) {
    const std::int64_t count = std::min(batch, s.rois - start);
    plan.build(rois + 5 * start, count, false);
    const T* batch_grad = grad_out + start * s.channels * s.out_height * s.out_width;
    parallel_for(channel_blocks(s, sizeof(T)), 1, useful_threads(s, count, num_threads),
                 [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        unpool_channels(batch_grad, rois + 5 * start, s, plan, count,
                        block_channels(s, block, per_block), spread + block * gradient_row(s),
                        grad_features);
      }
    });
  }
  return Status::kOk;
}

}  // namespace

std::int64_t roi_align_scratch_bytes(const RoiAlignSizes& sizes,
                                     std::int64_t element_size) noexcept {
  if (!usable(sizes)) return -1;
  return rois_per_batch(sizes, element_size) * plan_bytes(sizes, element_size) +
         channel_blocks(sizes, element_size) * gradient_row(sizes) * element_size;
}

Status roi_align(const float* features, const float* rois, const RoiAlignSizes& sizes,
                 void* scratch, float* out, int num_threads) noexcept {
  return forward(features, rois, sizes, scratch, out, num_threads);
}

Status roi_align(const double* features, const double* rois, const RoiAlignSizes& sizes,
                 void* scratch, double* out, int num_threads) noexcept {
  return forward(features, rois, sizes, scratch, out, num_threads);
}

Status roi_align_backward(const float* grad_out, const float* rois, const RoiAlignSizes& sizes,
                          void* scratch, float* grad_features, int num_threads) noexcept {
  return backward(grad_out, rois, sizes, scratch, grad_features, num_threads);
}

Status roi_align_backward(const double* grad_out, const double* rois, const RoiAlignSizes& sizes,
                          void* scratch, double* grad_features, int num_threads) noexcept {
  return backward(grad_out, rois, sizes, scratch, grad_features, num_threads);
}

}  // namespace geodet
