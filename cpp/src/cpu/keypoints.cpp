#include "geodet/keypoints.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "geodet/bicubic.hpp"
#include "geodet/heatmap_peak.hpp"
#include "geodet/host_device.hpp"
#include "geodet/keypoint_similarity.hpp"
#include "geodet/parallel.hpp"

namespace geodet {
namespace {

// exp calls and heatmap cells below which threads cost more than they save: about a millisecond.
constexpr std::int64_t kParallelPoints = 1 << 16;
constexpr std::int64_t kParallelCells = 1 << 19;

// Columns of the stretched map whose weights are kept on the stack at a time.
constexpr std::int64_t kColumns = 32;

// First output cell that reads input cell `cell` or a later one.
template <typename T>
std::int64_t first_output(std::int64_t cell, std::int64_t inputs, std::int64_t outputs) {
  const double scale = static_cast<double>(outputs) / static_cast<double>(inputs);
  const double guess = std::ceil((static_cast<double>(cell) + 0.5) * scale - 0.5);
  auto output = static_cast<std::int64_t>(
      std::clamp(guess, 0.0, static_cast<double>(outputs)));
  const auto reaches = [&](std::int64_t k) {
    return cubic_cell(cubic_position<T>(k, inputs, outputs), inputs) >= cell;
  };
  while (output > 0 && reaches(output - 1)) --output;
  while (output < outputs && !reaches(output)) ++output;
  return output;
}

// One heatmap and the size it is stretched to.
template <typename T>
struct Stretch {
  const T* map;
  std::int64_t side, width, height;
};

// Looks for a higher peak among the output cells of columns [begin, begin + count) that read the
// 4 x 4 `patch` of the map.
template <typename T>
GEODET_INLINE void search_columns(const Stretch<T>& s, const T (&patch)[4][4], std::int64_t begin,
                                  std::int64_t count, std::int64_t top, std::int64_t bottom,
                                  HeatmapPeak<T>& best) {
  T weights[4][kColumns];
  for (std::int64_t x = 0; x < count; ++x) {
    const CubicTap<T> tap = cubic_tap<T>(begin + x, s.side, s.width);
    for (int i = 0; i < 4; ++i) weights[i][x] = tap.weights[i];
  }
  for (std::int64_t y = top; y < bottom; ++y) {
    const CubicTap<T> tap = cubic_tap<T>(y, s.side, s.height);
    T column[4];
    for (int j = 0; j < 4; ++j) {
      const T values[4] = {patch[0][j], patch[1][j], patch[2][j], patch[3][j]};
      column[j] = cubic_blend(values, tap.weights);
    }
    T blended[kColumns];
    for (std::int64_t x = 0; x < count; ++x) {
      blended[x] = column[0] * weights[0][x] + column[1] * weights[1][x] +
                   column[2] * weights[2][x] + column[3] * weights[3][x];
    }
    for (std::int64_t x = 0; x < count; ++x) {
      const HeatmapPeak<T> found{blended[x], y * s.width + begin + x};
      if (is_higher(found, best)) best = found;
    }
  }
}

// Searches the output cells whose centre lies between those of input cells (row, column) and
// (row + 1, column + 1).
template <typename T>
GEODET_INLINE void search_cell(const Stretch<T>& s, std::int64_t row, std::int64_t column,
                               HeatmapPeak<T>& best) {
  const std::int64_t top = first_output<T>(row, s.side, s.height);
  const std::int64_t bottom = first_output<T>(row + 1, s.side, s.height);
  const std::int64_t left = first_output<T>(column, s.side, s.width);
  const std::int64_t right = first_output<T>(column + 1, s.side, s.width);
  if (top >= bottom) return;
  T patch[4][4];
  for (int i = 0; i < 4; ++i) {
    const T* cells = s.map + clamp_cell(row - 1 + i, s.side) * s.side;
    for (int j = 0; j < 4; ++j) patch[i][j] = cells[clamp_cell(column - 1 + j, s.side)];
  }
  for (std::int64_t begin = left; begin < right; begin += kColumns) {
    search_columns(s, patch, begin, std::min(kColumns, right - begin), top, bottom, best);
  }
}

template <typename T>
GEODET_INLINE T larger(T a, T b) {
  return a > b ? a : b;
}

template <typename T>
GEODET_INLINE T smaller(T a, T b) {
  return a < b ? a : b;
}

// Upper bounds of what the output cells under input cells (row, -1) ... (row, side - 1) can hold.
template <typename T>
GEODET_INLINE void bound_row(const Stretch<T>& s, std::int64_t row, T* __restrict bounds) {
  // Two repeated cells at each end; then bounds[k] spans cells k to k + 3 of these.
  T high[kMaxHeatmapSide + 4], inner[kMaxHeatmapSide + 4], low[kMaxHeatmapSide + 4];
  const T* rows[4];
  for (int i = 0; i < 4; ++i) rows[i] = s.map + clamp_cell(row - 1 + i, s.side) * s.side;
  for (std::int64_t x = 0; x < s.side; ++x) {
    inner[x + 2] = larger(rows[1][x], rows[2][x]);
    high[x + 2] = larger(inner[x + 2], larger(rows[0][x], rows[3][x]));
    low[x + 2] = smaller(smaller(rows[0][x], rows[1][x]), smaller(rows[2][x], rows[3][x]));
  }
  for (T* line : {high, inner, low}) {
    line[0] = line[1] = line[2];
    line[s.side + 2] = line[s.side + 3] = line[s.side + 1];
  }
  const T rounding = static_cast<T>(kCubicRounding) * std::numeric_limits<T>::epsilon();
  for (std::int64_t k = 0; k <= s.side; ++k) {
    const T highest = larger(larger(high[k], high[k + 1]), larger(high[k + 2], high[k + 3]));
    const T lowest = smaller(smaller(low[k], low[k + 1]), smaller(low[k + 2], low[k + 3]));
    const T middle = larger(inner[k + 1], inner[k + 2]);
    bounds[k] = cubic_bound(lowest, middle, highest) +
                rounding * larger(std::fabs(highest), std::fabs(lowest));
  }
}

// Where the small map is highest.
template <typename T>
GEODET_INLINE std::int64_t highest_cell(const T* map, std::int64_t count) {
  T highest = map[0];
  for (std::int64_t i = 1; i < count; ++i) highest = map[i] > highest ? map[i] : highest;
  std::int64_t index = 0;
  while (map[index] != highest) ++index;
  return index;
}

template <typename T>
GEODET_INLINE HeatmapPeak<T> find_peak(const Stretch<T>& s) {
  HeatmapPeak<T> best{-std::numeric_limits<T>::infinity(),
                      std::numeric_limits<std::int64_t>::max()};
  // A good start lets nearly all other cells be passed over.
  const std::int64_t start = highest_cell(s.map, s.side * s.side);
  const std::int64_t row = start / s.side, column = start % s.side;
  for (std::int64_t y = row - 1; y <= row; ++y) {
    for (std::int64_t x = column - 1; x <= column; ++x) search_cell(s, y, x, best);
  }
  T bounds[kMaxHeatmapSide + 1];
  for (std::int64_t y = -1; y < s.side; ++y) {
    bound_row(s, y, bounds);
    for (std::int64_t k = 0; k <= s.side; ++k) {
      if (!(bounds[k] < best.value)) search_cell(s, y, k - 1, best);
    }
  }
  return best;
}

template <typename T>
GEODET_INLINE void decode_one(const T* map, const T* box, std::int64_t side, T* out) {
  const HeatmapAxis<T> x_axis = heatmap_axis(box[0], box[2]);
  const HeatmapAxis<T> y_axis = heatmap_axis(box[1], box[3]);
  if (x_axis.cells == 0 || y_axis.cells == 0 || !row_is_finite(map, side * side)) {
    store_nothing(out);
    return;
  }
  const HeatmapPeak<T> peak = find_peak(Stretch<T>{map, side, x_axis.cells, y_axis.cells});
  double sum = 0;
  for (std::int64_t y = 0; y < side; ++y) sum += row_sum_of_exp(map + y * side, side, peak.value);
  store_peak(peak, x_axis, y_axis, sum, out);
}

GEODET_CLONES void decode_heatmap(const float* map, const float* box, std::int64_t side,
                                  float* out) {
  decode_one(map, box, side, out);
}

GEODET_CLONES void decode_heatmap(const double* map, const double* box, std::int64_t side,
                                  double* out) {
  decode_one(map, box, side, out);
}

GEODET_CLONES void similarities_of(const double* prediction, const SimilarityInput& input,
                                   const SimilaritySizes& s, double* out) {
  for (std::int64_t j = 0; j < s.targets; ++j) {
    out[j] = keypoint_similarity(prediction, input.targets + 3 * s.points * j, input.areas[j],
                                 input.boxes + 4 * j, input.sigmas, s.points);
  }
}

template <typename T>
Status decode(const T* heatmaps, const T* boxes, const HeatmapSizes& s, T* out,
              int num_threads) noexcept {
  if (s.rois < 0 || s.points < 0 || s.side < 1 || s.side > kMaxHeatmapSide) {
    return Status::kInvalidArgument;
  }
  const std::int64_t cells = s.side * s.side;
  const std::int64_t maps = s.rois * s.points;
  const int threads = maps * cells >= kParallelCells ? num_threads : 1;
  parallel_for(maps, 1, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      decode_heatmap(heatmaps + i * cells, boxes + 4 * (i / s.points), s.side, out + 4 * i);
    }
  });
  return Status::kOk;
}

}  // namespace

Status object_keypoint_similarity(const SimilarityInput& input, const SimilaritySizes& s,
                                  double* out, int num_threads) noexcept {
  if (s.predictions < 0 || s.targets < 0 || s.points < 0) return Status::kInvalidArgument;
  const std::int64_t work = s.predictions * s.targets * s.points;
  parallel_for(s.predictions, 1, work >= kParallelPoints ? num_threads : 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   similarities_of(input.predictions + 3 * s.points * i, input, s,
                                   out + s.targets * i);
                 }
               });
  return Status::kOk;
}

Status decode_heatmaps(const float* heatmaps, const float* boxes, const HeatmapSizes& sizes,
                       float* out, int num_threads) noexcept {
  return decode(heatmaps, boxes, sizes, out, num_threads);
}

Status decode_heatmaps(const double* heatmaps, const double* boxes, const HeatmapSizes& sizes,
                       double* out, int num_threads) noexcept {
  return decode(heatmaps, boxes, sizes, out, num_threads);
}

}  // namespace geodet
