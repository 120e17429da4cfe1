#include <algorithm>

#include "geodet/parallel.hpp"
#include "geodet/rle.hpp"

namespace geodet {
namespace {

// Runs that a thread should combine before it is worth waking: about 0.3 ms.
constexpr std::int64_t kRunsPerRange = 1 << 16;

std::int64_t rows_per_range(std::int64_t rows, std::int64_t runs) {
  return kRunsPerRange * std::max<std::int64_t>(rows, 1) / (runs + rows + 1) + 1;
}

// Combines masks [first, last) of a batch by halves, so that a run is read log(masks) times and
// not once for every mask after it. The result goes to `out`; both buffers are indexed by slot
// (see rle_slot), and `other` is overwritten.
std::int64_t reduce_range(RleBatch batch, std::int64_t first, std::int64_t last,
                          RunsOperation operation, std::int32_t* out, std::int32_t* other) {
  const auto slot = [&](std::int64_t row) {
    return batch.offsets[row] - batch.offsets[first] + row - first;
  };
  if (last - first == 1) {
    return combine_runs(RunsOperation::kUnion, batch[first], batch[first], out);
  }
  const std::int64_t middle = first + (last - first) / 2;
  const std::int64_t right = slot(middle);
  const std::int64_t left_count =
      reduce_range(batch, first, middle, operation, other, out);
  const std::int64_t right_count =
      reduce_range(batch, middle, last, operation, other + right, out + right);
  return combine_runs(operation, {other, left_count}, {other + right, right_count}, out);
}

std::int64_t write_uniform(bool value, std::int64_t num_pixels, std::int32_t* out) {
  RunWriter writer(out);
  writer.add(value, num_pixels);
  return writer.finish();
}

// Finds the part of the runs that lies in one column, for any order of columns.
class ColumnCursor {
 public:
  ColumnCursor(Runs runs, std::int64_t height) : runs_(runs), height_(height) {}

  // Calls add(value, y1, y2) for the stretches of column x, downwards or upwards.
  template <typename Add>
  void visit(std::int64_t x, bool upwards, Add&& add) {
    const std::int64_t top = x * height_;
    const std::int64_t bottom = top + height_;
    if (!upwards) {
      seek(top);
      for (std::int64_t at = top; at < bottom;) {
        seek(at);
        const std::int64_t end = std::min(begin_ + runs_.lengths[run_], bottom);
        add(run_ % 2 == 1, at - top, end - top);
        at = end;
      }
    } else {
      for (std::int64_t at = bottom; at > top;) {
        seek(at - 1);
        const std::int64_t start = std::max(begin_, top);
        add(run_ % 2 == 1, start - top, at - top);
        at = start;
      }
    }
  }

 private:
  // Moves to the run that holds a position.
  void seek(std::int64_t position) {
    while (position < begin_) begin_ -= runs_.lengths[--run_];
    while (position >= begin_ + runs_.lengths[run_]) begin_ += runs_.lengths[run_++];
  }

  Runs runs_;
  std::int64_t height_;
  std::int64_t run_ = 0;
  std::int64_t begin_ = 0;  // position where that run begins
};

std::int64_t remap_mask(Runs runs, const ColumnMap& map, std::int32_t* out) {
  RunWriter writer(out);
  if (map.new_height == 0 || map.new_width == 0) return writer.finish();
  ColumnCursor cursor(runs, map.height);
  const bool upwards = map.rows[0] > map.rows[map.height];
  for (std::int64_t j = 0; j < map.new_width; ++j) {
    cursor.visit(map.columns[j], upwards, [&](bool value, std::int64_t y1, std::int64_t y2) {
      const std::int32_t length = map.rows[y2] - map.rows[y1];
      writer.add(value, upwards ? -length : length);
    });
  }
  return writer.finish();
}

}  // namespace

Status rle_reduce(RleBatch batch, const std::int64_t* group_offsets, std::int64_t num_groups,
                  RunsOperation operation, std::int64_t num_pixels, std::int32_t* slots,
                  std::int32_t* scratch, std::int64_t* lengths, int num_threads) noexcept {
  if (operation == RunsOperation::kDifference || num_pixels < 0) return Status::kInvalidArgument;
  if (group_offsets[0] != 0 || group_offsets[num_groups] != batch.size) return Status::kOutOfRange;
  for (std::int64_t g = 0; g < num_groups; ++g) {
    if (group_offsets[g] > group_offsets[g + 1]) return Status::kOutOfRange;
  }
  const std::int64_t grain = rows_per_range(num_groups, batch.offsets[batch.size]);
  parallel_for(num_groups, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t g = begin; g < end; ++g) {
      const std::int64_t first = group_offsets[g];
      const std::int64_t last = group_offsets[g + 1];
      const std::int64_t slot = rle_slot(batch, first, g);
      lengths[g] = first == last
                       ? write_uniform(operation == RunsOperation::kIntersection, num_pixels,
                                       slots + slot)
                       : reduce_range(batch, first, last, operation, slots + slot, scratch + slot);
    }
  });
  return Status::kOk;
}

Status rle_combine(RleBatch a, RleBatch b, RunsOperation operation, std::int32_t* slots,
                   std::int64_t* lengths, int num_threads) noexcept {
  if (a.size != b.size) return Status::kInvalidArgument;
  const std::int64_t grain = rows_per_range(a.size, a.offsets[a.size] + b.offsets[b.size]);
  parallel_for(a.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      lengths[i] =
          combine_runs(operation, a[i], b[i], slots + a.offsets[i] + b.offsets[i] + i);
    }
  });
  return Status::kOk;
}

bool column_map_is_sound(const ColumnMap& map) noexcept {
  if (map.height < 0 || map.width < 0 || map.new_height < 0 || map.new_width < 0) return false;
  if (map.new_width > 0 && map.new_height > kMaxMaskPixels / map.new_width) return false;
  for (std::int64_t j = 0; j < map.new_width; ++j) {
    if (map.columns[j] < 0 || map.columns[j] >= map.width) return false;
  }
  const std::int32_t top = map.rows[0];
  const std::int32_t bottom = map.rows[map.height];
  if (std::min(top, bottom) != 0 || std::max(top, bottom) != map.new_height) return false;
  for (std::int64_t y = 0; y < map.height; ++y) {
    if (top <= bottom ? map.rows[y] > map.rows[y + 1] : map.rows[y] < map.rows[y + 1]) return false;
  }
  return true;
}

Status rle_remap(RleBatch batch, const ColumnMap& map, std::int64_t* lengths,
                 const std::int64_t* offsets, std::int32_t* counts, int num_threads) noexcept {
  const std::int64_t runs = batch.offsets[batch.size] + batch.size * map.new_width;
  const std::int64_t grain = rows_per_range(batch.size, runs);
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (offsets == nullptr) {
        lengths[i] = remap_mask(batch[i], map, nullptr);
      } else {
        (void)remap_mask(batch[i], map, counts + offsets[i]);
      }
    }
  });
  return Status::kOk;
}

}  // namespace geodet
