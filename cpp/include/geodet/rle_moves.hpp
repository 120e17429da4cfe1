// Moving columns and rows of masks as run lengths, one column of the result at a time: what a GPU
// does in any order. rle_remap in rle.hpp is the same for one thread that goes through a mask.
#pragma once

#include <cstdint>

#include "geodet/host_device.hpp"
#include "geodet/rle.hpp"

namespace geodet {

// How many runs end at or before a position, from the positions where runs end.
GEODET_HD inline std::int64_t runs_before(const std::int32_t* ends, std::int64_t count,
                                          std::int64_t position) {
  std::int64_t low = 0;
  std::int64_t high = count;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (ends[middle] <= position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// The row of the source that the lowest row of the result shows. The map is sound (see
// column_map_is_sound), and the result has rows.
GEODET_HD inline std::int64_t lowest_source_row(const ColumnMap& map) {
  const bool upwards = map.rows[0] > map.rows[map.height];
  std::int64_t low = 0;  // rows that do not reach, or no longer reach, the bottom
  std::int64_t high = map.height - 1;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    const bool beyond = upwards ? map.rows[middle + 1] < map.new_height
                                : map.rows[middle + 1] == map.new_height;
    if (beyond) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

// Calls visit(y) for the pixels of column j of the result that differ from the pixel before them,
// which for the topmost is the lowest of column j - 1, or nothing for the first column.
//   ends [count]: where the runs of the source mask end; the result has pixels.
template <typename Visit>
GEODET_HD inline void for_each_moved_change(const std::int32_t* ends, std::int64_t count,
                                            const ColumnMap& map, std::int64_t j, Visit&& visit) {
  const bool upwards = map.rows[0] > map.rows[map.height];
  const std::int64_t top = map.columns[j] * map.height;
  const std::int64_t bottom = top + map.height;
  bool before = false;
  if (j > 0) {
    const std::int64_t neighbour = map.columns[j - 1] * map.height;
    before = runs_before(ends, count, neighbour + lowest_source_row(map)) % 2 == 1;
  }
  if (!upwards) {
    std::int64_t run = runs_before(ends, count, top);
    for (std::int64_t at = top; at < bottom; ++run) {
      const std::int64_t end = ends[run] < bottom ? ends[run] : bottom;
      const std::int32_t y = map.rows[at - top];
      const bool value = run % 2 == 1;
      if (map.rows[end - top] > y && value != before) {
        visit(static_cast<std::int64_t>(y));
        before = value;
      }
      at = end > at ? end : at;
    }
  } else {
    std::int64_t run = runs_before(ends, count, bottom - 1);
    for (std::int64_t at = bottom; at > top; --run) {
      const std::int64_t begin = run > 0 && ends[run - 1] > top ? ends[run - 1] : top;
      const std::int32_t y = map.rows[at - top];
      const bool value = run % 2 == 1;
      if (map.rows[begin - top] > y && value != before) {
        visit(static_cast<std::int64_t>(y));
        before = value;
      }
      at = begin < at ? begin : at;
    }
  }
}

}  // namespace geodet
