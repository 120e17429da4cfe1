// Splits a call of RoIAlign by taps into batches that fit in memory, plans their cells and shares
// the channels among threads. `Cells` says which pixels a cell reads (roi_cells.hpp).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "geodet/lanes.hpp"
#include "geodet/parallel.hpp"
#include "geodet/ranking.hpp"
#include "geodet/status.hpp"
#include "roi_taps.hpp"

namespace geodet {

// Taps and cells that are planned at the same time.
constexpr std::int64_t kMaxPlannedTaps = 1 << 22;
constexpr std::int64_t kMaxPlannedCells = 1 << 18;
constexpr std::int64_t kCellsPerItem = 256;
// Below it threads cost more than they save: about a millisecond of taps times channels, of taps.
constexpr std::int64_t kParallelTaps = 1 << 22;
constexpr std::int64_t kParallelPlan = 1 << 17;

inline bool usable(const RoiAlignSizes& s) {
  return s.images >= 0 && s.channels >= 0 && s.height >= 0 && s.width >= 0 && s.rois >= 0 &&
         s.out_height > 0 && s.out_width > 0 && s.sampling_ratio >= 0 &&
         s.sampling_ratio <= kMaxSamplingRatio && s.spatial_scale > 0 &&
         is_finite(s.spatial_scale) &&
         (s.width == 0 || s.height <= std::numeric_limits<std::int32_t>::max() / s.width);
}

// What the cells of one image in a batch read.
struct ImageUse {
  std::int64_t low, high;  // pixels
  std::int64_t taps;
};

// How the caller's scratch is divided.
struct PlanSizes {
  std::int64_t cells, taps;   // at the same time
  std::int64_t block_values;  // of one thread, when maps are turned round

  template <typename Cells, typename T>
  static PlanSizes of(const T* rois, const RoiAlignSizes& s) {
    const std::int64_t per_roi = s.out_height * s.out_width;
    std::int64_t most = 0;
    std::int64_t total = 0;
    for (std::int64_t r = 0; r < s.rois; ++r) {
      const std::int64_t room = Cells(rois + Cells::kColumns * r, s).room();
      most = std::max(most, room);
      if (total < kMaxPlannedTaps) total += std::min(room, kMaxPlannedTaps) * per_roi;
    }
    PlanSizes sizes{};
    sizes.cells = std::min(s.rois * per_roi, kMaxPlannedCells);
    sizes.taps = std::max(most, std::min(total, kMaxPlannedTaps));
    // A map is only turned round for as many taps as it has pixels.
    const bool turns = !s.channels_last && s.channels >= kLanes;
    sizes.block_values = turns ? kTapChannels * std::min(s.height * s.width, sizes.taps) : 0;
    return sizes;
  }

  template <typename T>
  std::int64_t bytes(const RoiAlignSizes& s, int num_threads) const {
    return s.rois * 8 + (s.images + 1) * 8 +
           s.images * static_cast<std::int64_t>(sizeof(ImageUse)) +
           std::max(cells * static_cast<std::int64_t>(sizeof(CellTaps<T>)),
                    2 * s.rois * static_cast<std::int64_t>(sizeof(Ranked<BitsOf<T>>))) +
           taps * static_cast<std::int64_t>(sizeof(PixelTap<T>)) +
           num_threads * block_values * static_cast<std::int64_t>(sizeof(T));
  }
};

template <typename Cells, typename T>
class TapPlan {
 public:
  TapPlan(const T* rois, const RoiAlignSizes& sizes, void* scratch)
      : rois_(rois),
        s_(sizes),
        room_(PlanSizes::of<Cells>(rois, sizes)),
        per_roi_(sizes.out_height * sizes.out_width) {
    roi_order_ = static_cast<std::int64_t*>(scratch);
    image_begin_ = roi_order_ + s_.rois;
    uses_ = reinterpret_cast<ImageUse*>(image_begin_ + s_.images + 1);
    cells_ = reinterpret_cast<CellTaps<T>*>(uses_ + s_.images);
    taps_ = reinterpret_cast<PixelTap<T>*>(cells_ + room_.cells);
    blocks_ = reinterpret_cast<T*>(taps_ + room_.taps);
  }

  // Rois image by image, each from top to bottom, so that neighbours find the map in the cache;
  // kOutOfRange when one has no image.
  Status order_rois() {
    std::fill(image_begin_, image_begin_ + s_.images + 1, std::int64_t{0});
    // The memory of the cells is not needed yet.
    auto* ranked = reinterpret_cast<Ranked<BitsOf<T>>*>(cells_);
    for (std::int64_t r = 0; r < s_.rois; ++r) {
      const std::int64_t image = image_of(r);
      if (image < 0) return Status::kOutOfRange;
      ++image_begin_[image + 1];
      ranked[r] = {best_first_key(-rois_[Cells::kColumns * r + 2]), static_cast<BitsOf<T>>(r)};
    }
    sort_by_key(ranked, ranked + s_.rois, s_.rois);
    for (std::int64_t i = 0; i < s_.images; ++i) image_begin_[i + 1] += image_begin_[i];
    // Every image's begin serves as its cursor, which leaves it one image further on.
    for (std::int64_t k = 0; k < s_.rois; ++k) {
      const auto roi = static_cast<std::int64_t>(ranked[k].index);
      roi_order_[image_begin_[image_of(roi)]++] = roi;
    }
    for (std::int64_t i = s_.images; i > 0; --i) image_begin_[i] = image_begin_[i - 1];
    if (s_.images > 0) image_begin_[0] = 0;
    return Status::kOk;
  }

  // Calls apply(image, first channel, range, use, block) for every image and block of channels of
  // every batch of cells.
  template <typename Apply>
  void run(int num_threads, bool split_cells, Apply&& apply) {
    const std::int64_t total = s_.rois * per_roi_;
    for (std::int64_t begin = 0; begin < total; begin = end_) {
      plan_from(begin, total, num_threads);
      apply_batch(num_threads, split_cells, apply);
    }
  }

 private:
  std::int64_t image_of(std::int64_t roi) const {
    return image_index(rois_[Cells::kColumns * roi], s_.images);
  }

  Cells cells_of(std::int64_t position) const {
    return Cells(rois_ + Cells::kColumns * roi_order_[position / per_roi_], s_);
  }

  // Plans cells from `begin` on, as many as there is memory for.
  void plan_from(std::int64_t begin, std::int64_t total, int num_threads) {
    begin_ = end_ = begin;
    std::int64_t used = 0;
    while (end_ < total && end_ - begin_ < room_.cells) {
      const std::int64_t room = cells_of(end_).room();
      const std::int64_t stop =
          std::min({total, begin_ + room_.cells, (end_ / per_roi_ + 1) * per_roi_});
      for (; end_ < stop && used + room <= room_.taps; ++end_, used += room) {
        cells_[end_ - begin_] = {taps_ + used, 0};
      }
      if (end_ < stop) break;
    }
    parallel_for(end_ - begin_, kCellsPerItem, used >= kParallelPlan ? num_threads : 1,
                 [&](std::int64_t first, std::int64_t last) {
                   fill(begin_ + first, begin_ + last);
                 });
    total_taps_ = 0;
    for (std::int64_t i = 0; i < s_.images; ++i) uses_[i] = use_of(i);
  }

  void fill(std::int64_t first, std::int64_t last) {
    for (std::int64_t position = first; position < last;) {
      const Cells roi = cells_of(position);
      const std::int64_t stop = std::min(last, (position / per_roi_ + 1) * per_roi_);
      for (; position < stop; ++position) {
        CellTaps<T>& cell = cells_[position - begin_];
        const std::int64_t place = position % per_roi_;
        cell.count = roi.taps(place / s_.out_width, place % s_.out_width, cell.taps);
      }
    }
  }

  ImageUse use_of(std::int64_t image) {
    const CellRange<T> range = range_of(image);
    ImageUse use{s_.height * s_.width, 0, 0};
    for (std::int64_t k = 0; k < range.end - range.begin; ++k) {
      const CellTaps<T>& cell = range.cells[k];
      if (cell.count == 0) continue;
      use.low = std::min<std::int64_t>(use.low, cell.taps[0].pixel);
      use.high = std::max<std::int64_t>(use.high, cell.taps[cell.count - 1].pixel + 1);
      use.taps += cell.count;
    }
    total_taps_ += use.taps;
    return use;
  }

  CellRange<T> range_of(std::int64_t image) const {
    const std::int64_t begin = std::max(begin_, image_begin_[image] * per_roi_);
    const std::int64_t end = std::min(end_, image_begin_[image + 1] * per_roi_);
    return {cells_ + (begin - begin_), roi_order_, begin, std::max(begin, end), per_roi_};
  }

  // Turning a map round pays when more is read than there is.
  bool turns(const ImageUse& use, std::int64_t channels) const {
    return room_.block_values > 0 && channels >= kLanes && use.taps > 0 &&
           use.taps >= use.high - use.low;
  }

  template <typename Apply>
  void apply_batch(int num_threads, bool split_cells, Apply&& apply) {
    const std::int64_t blocks = (s_.channels + kTapChannels - 1) / kTapChannels;
    const bool is_large = total_taps_ >= kParallelTaps / std::max<std::int64_t>(1, s_.channels);
    const std::int64_t threads = is_large ? std::max(1, num_threads) : 1;
    // Cells are only split where that repeats no work.
    const std::int64_t pieces = split_cells && room_.block_values == 0 ? threads : 1;
    const std::int64_t units = blocks * s_.images * pieces;
    std::atomic<std::int64_t> next{0};
    // A thread takes units until none is left, so that it needs one block of memory alone.
    parallel_for(threads, 1, static_cast<int>(threads), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t thread = first; thread < last; ++thread) {
        T* memory = blocks_ + thread * room_.block_values;
        for (std::int64_t unit = next++; unit < units; unit = next++) {
          const std::int64_t image = unit / pieces / blocks;
          const std::int64_t channel = unit / pieces % blocks * kTapChannels;
          CellRange<T> range = range_of(image);
          const std::int64_t count = range.end - range.begin;
          const std::int64_t skipped = count * (unit % pieces) / pieces;
          range.end = range.begin + count * (unit % pieces + 1) / pieces;
          range.begin += skipped;
          range.cells += skipped;
          if (range.begin == range.end) continue;
          const std::int64_t channels = std::min(kTapChannels, s_.channels - channel);
          apply(image, channel, channels, range, uses_[image],
                turns(uses_[image], channels) ? memory : nullptr);
        }
      }
    });
  }

  const T* rois_;
  const RoiAlignSizes& s_;
  PlanSizes room_;
  std::int64_t per_roi_;
  std::int64_t* roi_order_;
  std::int64_t* image_begin_;
  ImageUse* uses_;
  CellTaps<T>* cells_;
  PixelTap<T>* taps_;
  T* blocks_;
  std::int64_t begin_ = 0, end_ = 0;  // of the planned cells
  std::int64_t total_taps_ = 0;
};

template <typename T>
MapChannels<T> map_channels(T* map, const RoiAlignSizes& s, std::int64_t image,
                            std::int64_t channel, std::int64_t count) {
  const std::int64_t pixels = s.height * s.width;
  T* data = map + image * s.channels * pixels;
  if (s.channels_last) return {data + channel, count, s.channels, 1};
  return {data + channel * pixels, count, 1, pixels};
}

template <typename Cells, typename T>
std::int64_t tap_scratch_bytes(const T* rois, const RoiAlignSizes& s, int num_threads) noexcept {
  if (!usable(s) || num_threads < 1) return -1;
  return PlanSizes::of<Cells>(rois, s).template bytes<T>(s, num_threads);
}

template <typename Cells, typename T>
Status pool_by_taps(const T* features, const T* rois, const RoiAlignSizes& s, void* scratch,
                    T* out, int num_threads) noexcept {
  if (!usable(s) || num_threads < 1) return Status::kInvalidArgument;
  TapPlan<Cells, T> plan(rois, s, scratch);
  const Status status = plan.order_rois();
  if (status != Status::kOk) return status;
  const std::int64_t cells = s.out_height * s.out_width;
  plan.run(num_threads, true,
           [&](std::int64_t image, std::int64_t channel, std::int64_t count,
               const CellRange<T>& range, const ImageUse& use, T* block) {
             pool_taps(range, map_channels(features, s, image, channel, count), block, use.low,
                       use.high, {out + channel * cells, s.channels * cells});
           });
  return Status::kOk;
}

template <typename Cells, typename T>
Status unpool_by_taps(const T* grad_out, const T* rois, const RoiAlignSizes& s, void* scratch,
                      T* grad_features, int num_threads) noexcept {
  if (!usable(s) || num_threads < 1) return Status::kInvalidArgument;
  TapPlan<Cells, T> plan(rois, s, scratch);
  const Status status = plan.order_rois();
  if (status != Status::kOk) return status;
  const std::int64_t cells = s.out_height * s.out_width;
  plan.run(num_threads, false,
           [&](std::int64_t image, std::int64_t channel, std::int64_t count,
               const CellRange<T>& range, const ImageUse& use, T* block) {
             unpool_taps(range, {grad_out + channel * cells, s.channels * cells}, block, use.low,
                         use.high, map_channels(grad_features, s, image, channel, count));
           });
  return Status::kOk;
}

}  // namespace geodet
