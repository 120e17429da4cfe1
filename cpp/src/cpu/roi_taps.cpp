#include "roi_taps.hpp"

#include <algorithm>

#include "geodet/host_device.hpp"
#include "geodet/lanes.hpp"
#include "geodet/transpose.hpp"

namespace geodet {
namespace {

constexpr std::int64_t kVectors = kTapChannels / kLanes;

std::int64_t vectors_of(std::int64_t channels) { return (channels + kLanes - 1) / kLanes; }

// Pixels from `low` on, `stride` values apart.
template <typename T>
struct Pixels {
  T* data;
  std::int64_t low, stride;

  GEODET_INLINE T* at(std::int64_t pixel) const { return data + (pixel - low) * stride; }
  GEODET_INLINE Pixels shifted(std::int64_t values) const { return {data + values, low, stride}; }
};

// Weighted sums of the taps' channels, kCount vectors of them. Even and odd taps are summed apart,
// which halves the wait for each addition; every path below sums in this order.
template <std::int64_t kCount, typename T>
GEODET_INLINE void gather(const Pixels<const T>& map, const CellTaps<T>& cell, T* sums) {
  Lanes<T> even[kCount] = {};
  Lanes<T> odd[kCount] = {};
  std::int64_t k = 0;
  for (; k + 1 < cell.count; k += 2) {
    const PixelTap<T> a = cell.taps[k];
    const PixelTap<T> b = cell.taps[k + 1];
    for (std::int64_t v = 0; v < kCount; ++v) {
      even[v].add_scaled(a.weight, map.at(a.pixel) + v * kLanes);
      odd[v].add_scaled(b.weight, map.at(b.pixel) + v * kLanes);
    }
  }
  for (std::int64_t v = 0; v < kCount; ++v) {
    if (k < cell.count) {
      even[v].add_scaled(cell.taps[k].weight, map.at(cell.taps[k].pixel) + v * kLanes);
    }
    even[v].add(odd[v]);
    even[v].store(sums + v * kLanes);
  }
}

template <typename T>
GEODET_INLINE T gather_one(const Pixels<const T>& map, const CellTaps<T>& cell) {
  T sums[2] = {T(0), T(0)};
  for (std::int64_t k = 0; k < cell.count; ++k) {
    sums[k & 1] += cell.taps[k].weight * *map.at(cell.taps[k].pixel);
  }
  return sums[0] + sums[1];
}

template <std::int64_t kCount, typename T>
GEODET_INLINE void scatter(const T* values, const CellTaps<T>& cell, const Pixels<T>& map) {
  for (std::int64_t k = 0; k < cell.count; ++k) {
    T* target = map.at(cell.taps[k].pixel);
    for (std::int64_t v = 0; v < kCount; ++v) {
      Lanes<T> sum;
      sum.load(target + v * kLanes);
      sum.add_scaled(cell.taps[k].weight, values + v * kLanes);
      sum.store(target + v * kLanes);
    }
  }
}

// The cells of a range in runs of up to kLanes cells of one roi, whose pooled values are moved
// together: a channel's values of a run lie side by side.
template <typename T>
struct RunWalk {
  const CellRange<T>& range;
  std::int64_t roi, place;
  std::int64_t k = 0;

  GEODET_INLINE explicit RunWalk(const CellRange<T>& cells)
      : range(cells),
        roi(cells.begin / cells.cells_per_roi),
        place(cells.begin % cells.cells_per_roi) {}

  GEODET_INLINE bool is_over() const { return k == range.end - range.begin; }
  GEODET_INLINE const CellTaps<T>* cells() const { return range.cells + k; }

  GEODET_INLINE std::int64_t size() const {
    const std::int64_t left = std::min(range.cells_per_roi - place, range.end - range.begin - k);
    return std::min(kLanes, left);
  }

  GEODET_INLINE void step() {
    const std::int64_t taken = size();
    k += taken;
    place += taken;
    if (place == range.cells_per_roi) {
      place = 0;
      ++roi;
    }
  }

  // The pooled values of the roi, seen as a map whose pixels are its cells.
  template <typename Value>
  GEODET_INLINE MapChannels<Value> pooled(const PooledChannels<Value>& side,
                                          std::int64_t channels) const {
    return {side.data + range.roi_order[roi] * side.roi_stride, channels, 1, range.cells_per_roi};
  }
};

// Copies pixels [low, high) of channels that lie apart to block[pixel - low][kTapChannels]. The
// last vector of channels is filled up with zeros.
template <typename T>
GEODET_INLINE void load_block(const MapChannels<const T>& map, std::int64_t low, std::int64_t high,
                              T* block) {
  for (std::int64_t pixel = low; pixel < high; pixel += kLanes) {
    const std::int64_t pixels = std::min(kLanes, high - pixel);
    T* target = block + (pixel - low) * kTapChannels;
    for (std::int64_t first = 0; first < map.count; first += kLanes) {
      const std::int64_t channels = std::min(kLanes, map.count - first);
      const T* source = map.data + first * map.channel_stride + pixel;
      if (pixels == kLanes && channels == kLanes) {
        transpose_lanes(source, map.channel_stride, target + first, kTapChannels);
        continue;
      }
      for (std::int64_t p = 0; p < pixels; ++p) {
        for (std::int64_t c = 0; c < kLanes; ++c) {
          target[p * kTapChannels + first + c] =
              c < channels ? source[c * map.channel_stride + p] : T(0);
        }
      }
    }
  }
}

// The way back.
template <typename T>
GEODET_INLINE void store_block(const T* block, std::int64_t low, std::int64_t high,
                               const MapChannels<T>& map) {
  for (std::int64_t pixel = low; pixel < high; pixel += kLanes) {
    const std::int64_t pixels = std::min(kLanes, high - pixel);
    const T* source = block + (pixel - low) * kTapChannels;
    for (std::int64_t first = 0; first < map.count; first += kLanes) {
      const std::int64_t channels = std::min(kLanes, map.count - first);
      T* target = map.data + first * map.channel_stride + pixel;
      if (pixels == kLanes && channels == kLanes) {
        transpose_lanes(source + first, kTapChannels, target, map.channel_stride);
        continue;
      }
      for (std::int64_t p = 0; p < pixels; ++p) {
        for (std::int64_t c = 0; c < channels; ++c) {
          target[c * map.channel_stride + p] = source[p * kTapChannels + first + c];
        }
      }
    }
  }
}

// Channels side by side: whole vectors of them, then the rest.
template <typename T>
GEODET_INLINE void pool_side_by_side(const CellRange<T>& range, const Pixels<const T>& map,
                                     std::int64_t vectors, std::int64_t channels,
                                     const PooledChannels<T>& out) {
  T sums[kLanes * kTapChannels];
  for (RunWalk<T> run(range); !run.is_over(); run.step()) {
    const std::int64_t size = run.size();
    for (std::int64_t k = 0; k < size; ++k) {
      const CellTaps<T>& cell = run.cells()[k];
      T* own = sums + k * kTapChannels;
      if (vectors == kVectors) {
        gather<kVectors>(map, cell, own);
      } else {
        for (std::int64_t v = 0; v < vectors; ++v) {
          gather<1>(map.shifted(v * kLanes), cell, own + v * kLanes);
        }
      }
      for (std::int64_t c = vectors * kLanes; c < channels; ++c) {
        own[c] = gather_one(map.shifted(c), cell);
      }
    }
    store_block(sums, run.place, run.place + size, run.pooled(out, channels));
  }
}

template <typename T>
GEODET_INLINE void pool(const CellRange<T>& range, const MapChannels<const T>& map, T* block,
                        std::int64_t low, std::int64_t high, const PooledChannels<T>& out) {
  if (block != nullptr) {
    load_block(map, low, high, block);
    pool_side_by_side<T>(range, {block, low, kTapChannels}, vectors_of(map.count), map.count, out);
  } else if (map.channel_stride == 1) {
    pool_side_by_side<T>(range, {map.data, 0, map.pixel_stride}, map.count / kLanes, map.count,
                         out);
  } else {
    T sums[kLanes * kTapChannels];
    for (RunWalk<T> run(range); !run.is_over(); run.step()) {
      const std::int64_t size = run.size();
      for (std::int64_t k = 0; k < size; ++k) {
        for (std::int64_t c = 0; c < map.count; ++c) {
          sums[k * kTapChannels + c] = gather_one<T>(
              {map.data + c * map.channel_stride, 0, map.pixel_stride}, run.cells()[k]);
        }
      }
      store_block(sums, run.place, run.place + size, run.pooled(out, map.count));
    }
  }
}

template <typename T>
GEODET_INLINE void scatter_one(T value, const CellTaps<T>& cell, const Pixels<T>& map) {
  for (std::int64_t k = 0; k < cell.count; ++k) {
    *map.at(cell.taps[k].pixel) += cell.taps[k].weight * value;
  }
}

template <typename T>
GEODET_INLINE void unpool_side_by_side(const CellRange<T>& range,
                                       const PooledChannels<const T>& grad, const Pixels<T>& map,
                                       std::int64_t vectors, std::int64_t channels) {
  T values[kLanes * kTapChannels];
  for (RunWalk<T> run(range); !run.is_over(); run.step()) {
    const std::int64_t size = run.size();
    load_block(run.pooled(grad, channels), run.place, run.place + size, values);
    for (std::int64_t k = 0; k < size; ++k) {
      const CellTaps<T>& cell = run.cells()[k];
      const T* own = values + k * kTapChannels;
      if (vectors == kVectors) {
        scatter<kVectors>(own, cell, map);
      } else {
        for (std::int64_t v = 0; v < vectors; ++v) {
          scatter<1>(own + v * kLanes, cell, map.shifted(v * kLanes));
        }
      }
      for (std::int64_t c = vectors * kLanes; c < channels; ++c) {
        scatter_one(own[c], cell, map.shifted(c));
      }
    }
  }
}

template <typename T>
GEODET_INLINE void unpool(const CellRange<T>& range, const PooledChannels<const T>& grad, T* block,
                          std::int64_t low, std::int64_t high, const MapChannels<T>& map) {
  if (block != nullptr) {
    load_block<T>({map.data, map.count, map.pixel_stride, map.channel_stride}, low, high, block);
    unpool_side_by_side<T>(range, grad, {block, low, kTapChannels}, vectors_of(map.count),
                           map.count);
    store_block(block, low, high, map);
  } else if (map.channel_stride == 1) {
    unpool_side_by_side<T>(range, grad, {map.data, 0, map.pixel_stride}, map.count / kLanes,
                           map.count);
  } else {
    T values[kLanes * kTapChannels];
    for (RunWalk<T> run(range); !run.is_over(); run.step()) {
      const std::int64_t size = run.size();
      load_block(run.pooled(grad, map.count), run.place, run.place + size, values);
      for (std::int64_t k = 0; k < size; ++k) {
        for (std::int64_t c = 0; c < map.count; ++c) {
          scatter_one<T>(values[k * kTapChannels + c], run.cells()[k],
                         {map.data + c * map.channel_stride, 0, map.pixel_stride});
        }
      }
    }
  }
}

}  // namespace

GEODET_CLONES void pool_taps(const CellRange<float>& range, const MapChannels<const float>& map,
                             float* block, std::int64_t low, std::int64_t high,
                             const PooledChannels<float>& out) {
  pool(range, map, block, low, high, out);
}

GEODET_CLONES void pool_taps(const CellRange<double>& range, const MapChannels<const double>& map,
                             double* block, std::int64_t low, std::int64_t high,
                             const PooledChannels<double>& out) {
  pool(range, map, block, low, high, out);
}

GEODET_CLONES void unpool_taps(const CellRange<float>& range,
                               const PooledChannels<const float>& grad, float* block,
                               std::int64_t low, std::int64_t high,
                               const MapChannels<float>& map) {
  unpool(range, grad, block, low, high, map);
}

GEODET_CLONES void unpool_taps(const CellRange<double>& range,
                               const PooledChannels<const double>& grad, double* block,
                               std::int64_t low, std::int64_t high,
                               const MapChannels<double>& map) {
  unpool(range, grad, block, low, high, map);
}

}  // namespace geodet
