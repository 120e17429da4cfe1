#include "geodet/rle_morphology.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "geodet/parallel.hpp"
#include "geodet/rle_columns.hpp"

namespace geodet {
namespace {

// Runs that a thread should combine before it is worth waking: about 0.3 ms.
constexpr std::int64_t kRunsPerRange = 1 << 15;

// Beyond the sum of both sides no neighbourhood of ours grows inside the image.
std::int64_t useful_radius(std::int64_t radius, std::int64_t height, std::int64_t width) {
  return std::min(radius, height + width);
}

// Rows above and below that are near, dx columns away; dx is 0 to radius.
std::int64_t half_height(Neighbourhood neighbourhood, std::int64_t radius, std::int64_t dx) {
  switch (neighbourhood) {
    case Neighbourhood::kSquare:
      return radius;
    case Neighbourhood::kDiamond:
      return radius - dx;
    case Neighbourhood::kDisk: {
      const std::int64_t square = radius * radius - dx * dx;
      auto root = static_cast<std::int64_t>(std::sqrt(static_cast<double>(square)));
      while (root * root > square) --root;
      while ((root + 1) * (root + 1) <= square) ++root;
      return root;
    }
  }
  return 0;
}

// The runs of a mask moved by whole columns; zeros come in, and what leaves is lost.
class MovedReader {
 public:
  MovedReader(Runs runs, std::int64_t shift)
      : reader_(runs), zeros_(std::max<std::int64_t>(shift, 0)) {
    for (std::int64_t skip = -std::min<std::int64_t>(shift, 0); skip > 0 && reader_.left() > 0;) {
      const std::int64_t length = std::min(skip, reader_.left());
      reader_.take(length);
      skip -= length;
    }
  }

  bool value() const { return zeros_ == 0 && reader_.left() > 0 && reader_.value(); }

  std::int64_t left() const {
    if (zeros_ > 0) return zeros_;
    return reader_.left() > 0 ? reader_.left() : std::numeric_limits<std::int64_t>::max();
  }

  void take(std::int64_t length) {
    if (zeros_ > 0) {
      zeros_ -= length;
    } else if (reader_.left() > 0) {
      reader_.take(length);
    }
  }

 private:
  RunReader reader_;
  std::int64_t zeros_;
};

std::int64_t combine_moved(RunsOperation operation, Runs a, Runs b, std::int64_t shift,
                           std::int32_t* out) {
  RunReader from_a(a);
  MovedReader from_b(b, shift);
  RunWriter writer(out);
  while (from_a.left() > 0) {
    const std::int64_t length = std::min(from_a.left(), from_b.left());
    writer.add(combine_pixels(operation, from_a.value(), from_b.value()), length);
    from_a.take(length);
    from_b.take(length);
  }
  return writer.finish();
}

// Grows or shrinks the stretches of every column by `rows` at both ends.
std::int64_t work_in_columns(Runs runs, std::int64_t height, std::int64_t width,
                             Morphology operation, std::int64_t rows, std::int32_t* out) {
  RunWriter writer(out);
  std::int64_t at = 0;  // position up to which pixels are written
  const std::int64_t grow = operation == Morphology::kDilate ? rows : -rows;
  for_each_segment(runs, height, [&](std::int64_t x, std::int64_t y1, std::int64_t y2) {
    const std::int64_t top = std::max<std::int64_t>(y1 - grow, 0);
    const std::int64_t bottom = std::min(y2 + grow, height);
    if (top >= bottom) return;
    const std::int64_t begin = x * height + top;
    const std::int64_t end = x * height + bottom;
    writer.add(false, std::max<std::int64_t>(begin - at, 0));
    writer.add(true, end - std::max(begin, at));  // grown stretches may overlap
    at = end;
  });
  writer.add(false, height * width - at);
  return writer.finish();
}

// Buffers of one mask, handed out in turn.
class MaskMorphology {
 public:
  MaskMorphology(std::int64_t height, std::int64_t width, MorphologyPlan plan,
                 std::int32_t* buffers, std::int64_t room)
      : height_(height), width_(width), plan_(plan), buffers_(buffers), room_(room) {
    plan_.radius = useful_radius(plan.radius, height, width);
    combine_ = plan.operation == Morphology::kDilate ? RunsOperation::kUnion
                                                     : RunsOperation::kIntersection;
  }

  Runs run(Runs mask) {
    return plan_.neighbourhood == Neighbourhood::kSquare ? square(mask) : by_columns(mask);
  }

 private:
  std::int32_t* buffer(std::int64_t k) { return buffers_ + k * room_; }

  Runs in_columns(Runs mask, std::int64_t rows, std::int64_t k) {
    return {buffer(k),
            work_in_columns(mask, height_, width_, plan_.operation, rows, buffer(k))};
  }

  Runs combined(Runs a, Runs b, std::int64_t columns, std::int64_t k) {
    return {buffer(k), combine_moved(combine_, a, b, columns * height_, buffer(k))};
  }

  // Windows of 1, 2, 4 ... columns up to radius + 1, to the right and to the left.
  Runs square(Runs mask) {
    const Runs column = in_columns(mask, plan_.radius, 0);
    const Runs right = window(column, 1, 1, 2);
    const std::int64_t free = right.lengths == buffer(2) ? 1 : 2;
    const Runs left = window(column, -1, free, 3);
    const std::int64_t last = left.lengths == buffer(3) ? free : 3;
    return combined(right, left, 0, last);
  }

  Runs window(Runs column, std::int64_t direction, std::int64_t one, std::int64_t other) {
    Runs whole = column;
    const std::int64_t wanted = std::min(plan_.radius, width_) + 1;
    for (std::int64_t columns = 1; columns < wanted;) {
      const std::int64_t step = std::min(columns, wanted - columns);
      whole = combined(whole, whole, direction * step, one);
      std::swap(one, other);
      columns += step;
    }
    return whole;
  }

  Runs by_columns(Runs mask) {
    Runs whole = in_columns(mask, half_height(plan_.neighbourhood, plan_.radius, 0), 0);
    Runs column{nullptr, 0};
    std::int64_t free = 1;
    std::int64_t rows = -1;
    for (std::int64_t dx = 1; dx <= std::min(plan_.radius, width_); ++dx) {
      const std::int64_t wanted = half_height(plan_.neighbourhood, plan_.radius, dx);
      if (wanted != rows) column = in_columns(mask, wanted, 3);
      rows = wanted;
      for (const std::int64_t columns : {dx, -dx}) {
        whole = combined(whole, column, columns, free);
        free = (free + 1) % 3;
      }
    }
    return whole;
  }

  std::int64_t height_, width_;
  MorphologyPlan plan_;
  RunsOperation combine_;
  std::int32_t* buffers_;
  std::int64_t room_;
};

std::int64_t pad_mask(Runs runs, std::int64_t height, std::int64_t width, Padding padding,
                      std::int32_t* out) {
  RunWriter writer(out);
  const std::int64_t new_height = padding.top + height + padding.bottom;
  const std::int64_t new_width = padding.left + width + padding.right;
  std::int64_t at = 0;
  for_each_segment(runs, height, [&](std::int64_t x, std::int64_t y1, std::int64_t y2) {
    const std::int64_t begin = (x + padding.left) * new_height + y1 + padding.top;
    writer.add(false, begin - at);
    writer.add(true, y2 - y1);
    at = begin + y2 - y1;
  });
  writer.add(false, new_height * new_width - at);
  return writer.finish();
}

std::int64_t masks_per_range(RleBatch batch, std::int64_t work_per_run) {
  const std::int64_t work = batch.offsets[batch.size] * work_per_run;
  return kRunsPerRange * std::max<std::int64_t>(batch.size, 1) / (work + batch.size + 1) + 1;
}

std::int64_t common_pixels(Runs a, Runs b) {
  RunReader from_a(a);
  RunReader from_b(b);
  std::int64_t common = 0;
  while (from_a.left() > 0 && from_b.left() > 0) {
    const std::int64_t length = std::min(from_a.left(), from_b.left());
    if (from_a.value() && from_b.value()) common += length;
    from_a.take(length);
    from_b.take(length);
  }
  return common;
}

bool is_sound(std::int64_t height, std::int64_t width, MorphologyPlan plan) {
  return height >= 0 && width >= 0 && plan.radius >= 0 &&
         (plan.operation == Morphology::kDilate || plan.operation == Morphology::kErode) &&
         (plan.neighbourhood == Neighbourhood::kSquare ||
          plan.neighbourhood == Neighbourhood::kDiamond ||
          plan.neighbourhood == Neighbourhood::kDisk);
}

}  // namespace

Status rle_morphology_rooms(RleBatch batch, std::int64_t height, std::int64_t width,
                            MorphologyPlan plan, std::int64_t* rooms) noexcept {
  if (!is_sound(height, width, plan)) return Status::kInvalidArgument;
  const std::int64_t radius = useful_radius(plan.radius, height, width);
  const std::int64_t reach = std::min(radius, width);
  // Stretches of a column are apart; a square's grown ones, and the gaps that it shrinks stretches
  // by, are also longer than the radius, but for those at the ends.
  const std::int64_t in_column = plan.neighbourhood == Neighbourhood::kSquare
                                     ? height / (radius + 2) + 2
                                     : height / 2 + 1;
  for (std::int64_t i = 0; i < batch.size; ++i) {
    std::int64_t segments = 0;
    std::int64_t x1 = 0;
    std::int64_t x2 = 0;
    for_each_segment(batch[i], height, [&](std::int64_t x, std::int64_t, std::int64_t) {
      if (segments++ == 0) x1 = x;
      x2 = x + 1;
    });
    // A stretch is seen from 2 * reach + 1 columns, and never more than the columns can hold.
    const std::int64_t columns = std::min(x2 - x1 + 2 * reach, width);
    const std::int64_t windows = std::min(2 * reach + 1, width);
    rooms[i] = 2 * std::min(windows * segments, columns * in_column) + 1;
  }
  return Status::kOk;
}

Status rle_morphology(RleBatch batch, std::int64_t height, std::int64_t width,
                      MorphologyPlan plan, const std::int64_t* room_offsets,
                      std::int32_t* buffers, std::int64_t* results, std::int64_t* lengths,
                      int num_threads) noexcept {
  if (!is_sound(height, width, plan)) return Status::kInvalidArgument;
  const std::int64_t grain = masks_per_range(batch, 16);
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      MaskMorphology mask(height, width, plan, buffers + kMorphologyBuffers * room_offsets[i],
                          room_offsets[i + 1] - room_offsets[i]);
      const Runs result = mask.run(batch[i]);
      results[i] = result.lengths - buffers;
      lengths[i] = result.count;
    }
  });
  return Status::kOk;
}

void rle_complement(RleBatch batch, std::int32_t* slots, std::int64_t* lengths) noexcept {
  for (std::int64_t i = 0; i < batch.size; ++i) {
    const Runs runs = batch[i];
    RunWriter writer(slots + batch.offsets[i] + i);
    for (std::int64_t k = 0; k < runs.count; ++k) writer.add(k % 2 == 0, runs.lengths[k]);
    lengths[i] = writer.finish();
  }
}

Status rle_pad(RleBatch batch, std::int64_t height, std::int64_t width, Padding padding,
               std::int64_t* lengths, const std::int64_t* offsets, std::int32_t* counts,
               int num_threads) noexcept {
  if (height < 0 || width < 0 || padding.left < 0 || padding.top < 0 || padding.right < 0 ||
      padding.bottom < 0) {
    return Status::kInvalidArgument;
  }
  const std::int64_t grain = masks_per_range(batch, 2);
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (offsets == nullptr) {
        lengths[i] = pad_mask(batch[i], height, width, padding, nullptr);
      } else {
        (void)pad_mask(batch[i], height, width, padding, counts + offsets[i]);
      }
    }
  });
  return Status::kOk;
}

Status matched_rle_intersection(RleBatch a, RleBatch b, std::int64_t* common,
                                int num_threads) noexcept {
  if (a.size != b.size) return Status::kInvalidArgument;
  const std::int64_t grain = masks_per_range(a, 2);
  parallel_for(a.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) common[i] = common_pixels(a[i], b[i]);
  });
  return Status::kOk;
}

}  // namespace geodet
