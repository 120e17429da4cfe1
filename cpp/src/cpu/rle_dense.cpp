#include <algorithm>
#include <cstring>

#include "geodet/host_device.hpp"
#include "geodet/parallel.hpp"
#include "geodet/rle.hpp"

namespace geodet {
namespace {

// Bytes of masks that a thread should read before it is worth waking: about 0.3 ms.
constexpr std::int64_t kBytesPerRange = 8 << 20;
// Columns that are sorted at a time: their counters stay in the first-level cache.
constexpr std::int64_t kStripColumns = 1024;
constexpr std::int64_t kWord = 8;
constexpr std::int64_t kBlock = 64;

std::int64_t masks_per_range(std::int64_t num_pixels) {
  return std::max<std::int64_t>(kBytesPerRange / std::max<std::int64_t>(num_pixels, 1), 1);
}

std::uint64_t load_word(const std::uint8_t* bytes) {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// The word of the bytes [x, x + 8) of a row of `width`, zeros beyond its end.
std::uint64_t load_word(const std::uint8_t* row, std::int64_t x, std::int64_t width) {
  if (x + kWord <= width) return load_word(row + x);
  std::uint64_t word = 0;
  std::memcpy(&word, row + x, static_cast<std::size_t>(width - x));
  return word;
}

// One byte 1 for every byte of `word` that is not 0.
std::uint64_t nonzero_bytes(std::uint64_t word) {
  constexpr std::uint64_t kLow7 = 0x7f7f7f7f7f7f7f7fu;
  return ((((word & kLow7) + kLow7) | word) >> 7) & 0x0101010101010101u;
}

// Sum of bytes that are 0 or 1.
int sum_bytes(std::uint64_t ones) { return static_cast<int>((ones * 0x0101010101010101u) >> 56); }

struct RowScan {
  std::int64_t differences = 0;
  std::int64_t first = 0, last = 0;  // half-open columns, to the word
};

// Where two rows of `width` differ. Rows are mostly equal: whole blocks of 64 are skipped.
GEODET_CLONES RowScan compare_rows(const std::uint8_t* row, const std::uint8_t* above,
                                   std::int64_t width) {
  RowScan scan;
  for (std::int64_t x = 0; x < width; x += kBlock) {
    if (x + kBlock <= width) {
      std::uint64_t any = 0;
      for (std::int64_t k = 0; k < kBlock; k += kWord) {
        any |= load_word(row + x + k) ^ load_word(above + x + k);
      }
      if (any == 0) continue;
    }
    for (std::int64_t k = x; k < std::min(x + kBlock, width); k += kWord) {
      const std::uint64_t changed = load_word(row, k, width) ^ load_word(above, k, width);
      if (changed == 0) continue;
      if (scan.differences == 0) scan.first = k;
      scan.last = std::min(k + kWord, width);
      scan.differences += sum_bytes(nonzero_bytes(changed));
    }
  }
  return scan;
}

// Calls visit(x) for x in [x1, x2) where two rows differ.
template <typename Visit>
void for_each_difference(const std::uint8_t* row, const std::uint8_t* above, std::int64_t x1,
                         std::int64_t x2, Visit&& visit) {
  for (std::int64_t x = x1; x < x2; x += kWord) {
    if ((load_word(row, x, x2) ^ load_word(above, x, x2)) == 0) continue;
    for (std::int64_t k = x; k < std::min(x + kWord, x2); ++k) {
      if (row[k] != above[k]) visit(k);
    }
  }
}

MaskScan scan_mask(const std::uint8_t* mask, std::int64_t height, std::int64_t width) {
  MaskScan scan{1, static_cast<std::int32_t>(width), static_cast<std::int32_t>(height), 0, 0};
  if (height == 0 || width == 0) return {1, 0, 0, 0, 0};
  const auto include = [&](const RowScan& row, std::int64_t shift, std::int64_t y) {
    if (row.differences == 0) return;
    scan.num_runs += row.differences;
    scan.x1 = std::min(scan.x1, static_cast<std::int32_t>(row.first + shift));
    scan.x2 = std::max(scan.x2, static_cast<std::int32_t>(row.last + shift));
    scan.y1 = std::min(scan.y1, static_cast<std::int32_t>(y));
    scan.y2 = std::max(scan.y2, static_cast<std::int32_t>(y + 1));
  };
  // Before the top pixel of a column comes the bottom one of the column to its left.
  include({mask[0] != 0 ? 1 : 0, 0, 1}, 0, 0);
  include(compare_rows(mask + 1, mask + (height - 1) * width, width - 1), 1, 0);
  for (std::int64_t y = 1; y < height; ++y) {
    include(compare_rows(mask + y * width, mask + (y - 1) * width, width), 0, y);
  }
  return scan;
}

// Calls visit(x, y) for the pixels of columns [x1, x2) and rows from scan.y1 up to scan.y2 that
// differ from the pixel before them, row by row.
template <typename Visit>
void for_each_change(const std::uint8_t* mask, std::int64_t height, std::int64_t width,
                     const MaskScan& scan, std::int64_t x1, std::int64_t x2, Visit&& visit) {
  std::int64_t y = scan.y1;
  if (y == 0 && scan.y2 > 0) {
    if (x1 == 0 && mask[0] != 0) visit(std::int64_t{0}, std::int64_t{0});
    for_each_difference(mask + 1, mask + (height - 1) * width,
                        std::max<std::int64_t>(x1 - 1, 0), x2 - 1,
                        [&](std::int64_t x) { visit(x + 1, std::int64_t{0}); });
    ++y;
  }
  for (; y < scan.y2; ++y) {
    for_each_difference(mask + y * width, mask + (y - 1) * width, x1, x2,
                        [&](std::int64_t x) { visit(x, y); });
  }
}

// Changes are met row by row and wanted column by column: strips of columns are counted, then
// filled. The second and third look at a mask find it in the cache.
void fill_mask(const std::uint8_t* mask, std::int64_t height, std::int64_t width,
               const MaskScan& scan, std::int32_t* counts) {
  std::int32_t next[kStripColumns];
  std::int32_t filled = 0;
  for (std::int64_t x1 = scan.x1; x1 < scan.x2; x1 += kStripColumns) {
    const std::int64_t x2 = std::min<std::int64_t>(x1 + kStripColumns, scan.x2);
    std::fill(next, next + (x2 - x1), 0);
    for_each_change(mask, height, width, scan, x1, x2,
                    [&](std::int64_t x, std::int64_t) { ++next[x - x1]; });
    for (std::int64_t k = 0; k < x2 - x1; ++k) {
      const std::int32_t in_column = next[k];
      next[k] = filled;
      filled += in_column;
    }
    for_each_change(mask, height, width, scan, x1, x2, [&](std::int64_t x, std::int64_t y) {
      counts[next[x - x1]++] = static_cast<std::int32_t>(x * height + y);
    });
  }
  std::int32_t previous = 0;
  for (std::int32_t k = 0; k < filled; ++k) {
    const std::int32_t position = counts[k];
    counts[k] = position - previous;
    previous = position;
  }
  counts[filled] = static_cast<std::int32_t>(height * width) - previous;
}

GEODET_CLONES void xor_rows(std::uint8_t* row, const std::uint8_t* above, std::int64_t count) {
  for (std::int64_t x = 0; x < count; ++x) row[x] = static_cast<std::uint8_t>(row[x] ^ above[x]);
}

// Flips the pixels where a stretch of ones begins and ends in its column, then lets every flip
// run down: each row becomes its exclusive or with the row above, whole vectors at a time.
void decode_mask(Runs runs, std::int64_t h, std::int64_t w, std::uint8_t* mask) {
  const RunsExtent extent = runs_extent(runs, h);
  if (extent.last == 0) return;
  const auto flip = [&](std::int64_t x, std::int64_t y) {
    if (y < h) mask[y * w + x] ^= 1u;
  };
  std::int64_t x = 0;
  std::int64_t y = 0;
  for (std::int64_t k = 0; k < runs.count; ++k) {
    std::int64_t left = runs.lengths[k];
    if (k % 2 == 1) {
      while (left > 0) {
        const std::int64_t here = std::min(left, h - y);
        flip(x, y);
        flip(x, y + here);
        left -= here;
        y += here;
        if (y == h) {
          y = 0;
          ++x;
        }
      }
      continue;
    }
    y += left;
    if (y >= h) {
      x += y / h;
      y %= h;
    }
  }
  const std::int64_t bottom = std::min<std::int64_t>(extent.y2 + 1, h);
  for (std::int64_t row = extent.y1 + 1; row < bottom; ++row) {
    xor_rows(mask + row * w + extent.x1, mask + (row - 1) * w + extent.x1,
             extent.x2 - extent.x1);
  }
}

}  // namespace

Status rle_encode_scan(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                       std::int64_t width, MaskScan* scans, int num_threads) noexcept {
  if (n < 0 || height < 0 || width < 0) return Status::kInvalidArgument;
  parallel_for(n, masks_per_range(height * width), num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   scans[i] = scan_mask(masks + i * height * width, height, width);
                 }
               });
  return Status::kOk;
}

Status rle_encode_fill(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                       std::int64_t width, const MaskScan* scans, const std::int64_t* offsets,
                       std::int32_t* counts, int num_threads) noexcept {
  if (n < 0 || height < 0 || width < 0) return Status::kInvalidArgument;
  parallel_for(n, masks_per_range(height * width), num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   fill_mask(masks + i * height * width, height, width, scans[i],
                             counts + offsets[i]);
                 }
               });
  return Status::kOk;
}

Status rle_decode(RleBatch batch, std::int64_t height, std::int64_t width, std::uint8_t* masks,
                  int num_threads) noexcept {
  if (height < 0 || width < 0) return Status::kInvalidArgument;
  if (height == 0 || width == 0) return Status::kOk;
  parallel_for(batch.size, masks_per_range(height * width), num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   decode_mask(batch[i], height, width, masks + i * height * width);
                 }
               });
  return Status::kOk;
}

}  // namespace geodet
