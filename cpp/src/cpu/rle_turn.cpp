#include <algorithm>

#include "geodet/parallel.hpp"
#include "geodet/rle_shapes.hpp"

namespace geodet {
namespace {

// Stretches of rows that a thread should write before it is worth waking: about 0.3 ms.
constexpr std::int64_t kStretchesPerRange = 1 << 15;

std::int64_t masks_per_range(std::int64_t masks, std::int64_t stretches) {
  return kStretchesPerRange * std::max<std::int64_t>(masks, 1) / (stretches + masks + 1) + 1;
}

// Calls visit(x, y1, y2, starts) where rows y1 to y2 - 1 all start (or all end) a stretch of set
// pixels at column x.
template <typename Visit>
void for_each_row_end(const ColumnSegment* segments, std::int64_t count, Visit&& visit) {
  for_each_line(segments, count, [&](std::int64_t x, SegmentRange left, SegmentRange right) {
    std::int64_t above = 0;
    bool left_set = false;
    bool right_set = false;
    for_each_change_of_line(
        left, right, [&](std::int64_t y, bool, bool, std::int64_t a, std::int64_t b) {
          if (left_set != right_set) visit(x, above, y, right_set);
          above = y;
          left_set = a % 2 == 1;
          right_set = b % 2 == 1;
        });
  });
}

std::int64_t write_mask(const std::int32_t* row_runs, const std::int64_t* row_ends,
                        std::int64_t height, std::int64_t width, RowsToColumns way,
                        std::int32_t* out) {
  RunWriter writer(out);
  for (std::int64_t column = 0; column < height; ++column) {
    const std::int64_t y = way.bottom_row_first ? height - 1 - column : column;
    const std::int64_t first = y == 0 ? 0 : row_ends[y - 1];
    const std::int64_t last = row_ends[y];
    std::int64_t at = 0;
    for (std::int64_t k = 0; k < last - first; ++k) {
      const std::int32_t* run =
          row_runs + 2 * (way.right_end_first ? last - 1 - k : first + k);
      const std::int64_t begin = way.right_end_first ? width - run[1] : run[0];
      const std::int64_t end = way.right_end_first ? width - run[0] : run[1];
      writer.add(false, begin - at);
      writer.add(true, end - begin);
      at = end;
    }
    writer.add(false, width - at);
  }
  return writer.finish();
}

}  // namespace

void count_row_runs(SegmentBatch batch, std::int64_t height, std::int64_t* row_counts,
                    std::int64_t* num_row_runs, int num_threads) noexcept {
  const std::int64_t grain = masks_per_range(batch.size, 4 * batch.offsets[batch.size]);
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t* rows = row_counts + i * (height + 1);
      std::fill(rows, rows + height + 1, 0);
      for_each_row_end(
          batch.segments + batch.offsets[i], batch.offsets[i + 1] - batch.offsets[i],
          [&](std::int64_t, std::int64_t y1, std::int64_t y2, bool starts) {
            rows[y1] += starts ? 1 : 0;
            rows[y2] -= starts ? 1 : 0;
          });
      num_row_runs[i] = 0;
      for (std::int64_t y = 0; y < height; ++y) {
        if (y > 0) rows[y] += rows[y - 1];
        num_row_runs[i] += rows[y];
      }
    }
  });
}

void write_turned(SegmentBatch batch, std::int64_t height, std::int64_t width, RowsToColumns way,
                  std::int64_t* row_counts, const std::int64_t* row_run_offsets,
                  std::int32_t* row_runs, std::int32_t* slots, std::int64_t* lengths,
                  int num_threads) noexcept {
  const std::int64_t grain = masks_per_range(batch.size, row_run_offsets[batch.size]);
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t* rows = row_counts + i * (height + 1);
      std::int32_t* runs = row_runs + 2 * row_run_offsets[i];
      std::int64_t sum = 0;
      for (std::int64_t y = 0; y < height; ++y) {  // counts become the next free stretch
        const std::int64_t in_row = rows[y];
        rows[y] = sum;
        sum += in_row;
      }
      for_each_row_end(
          batch.segments + batch.offsets[i], batch.offsets[i + 1] - batch.offsets[i],
          [&](std::int64_t x, std::int64_t y1, std::int64_t y2, bool starts) {
            // A stretch ends before the next one of its row starts, at a later line.
            for (std::int64_t y = y1; y < y2; ++y) {
              if (starts) {
                runs[2 * rows[y]] = static_cast<std::int32_t>(x);
              } else {
                runs[2 * rows[y]++ + 1] = static_cast<std::int32_t>(x);
              }
            }
          });
      lengths[i] = write_mask(runs, rows, height, width, way, slots + 2 * row_run_offsets[i] + i);
    }
  });
}

}  // namespace geodet
