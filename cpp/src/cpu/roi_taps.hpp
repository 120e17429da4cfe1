// Applying planned cells to many channels at once: a pixel's channels lie side by side, so that one
// weight serves whole vectors of them.
//
// Maps whose channels lie apart are turned round a block of channels at a time, into memory that
// stays in the third cache while all cells read it.
#pragma once

#include <cstdint>

#include "roi_cells.hpp"

namespace geodet {

// Channels that are handled together.
constexpr std::int64_t kTapChannels = 32;

template <typename T>
struct CellTaps {
  PixelTap<T>* taps;
  std::int64_t count;
};

// Cells of some rois on one image, roi by roi; roi_order[position / cells_per_roi] is the roi of a
// cell, position % cells_per_roi its place in it.
template <typename T>
struct CellRange {
  const CellTaps<T>* cells;  // [end - begin]
  const std::int64_t* roi_order;
  std::int64_t begin, end;  // positions
  std::int64_t cells_per_roi;
};

// Channels of one image of a map. `data` points to the first of them at pixel 0.
template <typename T>
struct MapChannels {
  T* data;
  std::int64_t count;
  std::int64_t pixel_stride, channel_stride;
};

// The pooled side, [rois, channels, cells]: `data` points to the first of the channels of roi 0.
template <typename T>
struct PooledChannels {
  T* data;
  std::int64_t roi_stride;  // channels * cells
};

// Means of the cells on up to kTapChannels channels. `block` is memory for pixels [low, high) of
// kTapChannels channels, or null to read the map as it lies.
void pool_taps(const CellRange<float>& range, const MapChannels<const float>& map, float* block,
               std::int64_t low, std::int64_t high, const PooledChannels<float>& out);
void pool_taps(const CellRange<double>& range, const MapChannels<const double>& map,
               double* block, std::int64_t low, std::int64_t high,
               const PooledChannels<double>& out);

// The gradient of pool_taps, added to the map.
void unpool_taps(const CellRange<float>& range, const PooledChannels<const float>& grad,
                 float* block, std::int64_t low, std::int64_t high,
                 const MapChannels<float>& map);
void unpool_taps(const CellRange<double>& range, const PooledChannels<const double>& grad,
                 double* block, std::int64_t low, std::int64_t high,
                 const MapChannels<double>& map);

}  // namespace geodet
