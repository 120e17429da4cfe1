// Masks as run lengths: a flat batch, its conversions, measures and algebra.
//
// A batch of n masks is `counts [t]`, the run lengths of all masks one after another, and
// `offsets [n + 1]`, where each mask begins; rle_runs.hpp says what the runs mean. Everything but
// `rle_check` and the text functions takes a batch that `rle_check` found sound.
#pragma once

#include <cstdint>

#include "geodet/rle_runs.hpp"
#include "geodet/status.hpp"

namespace geodet {

struct RleBatch {
  const std::int32_t* counts;
  const std::int64_t* offsets;
  std::int64_t size;

  GEODET_HD Runs operator[](std::int64_t i) const {
    return {counts + offsets[i], offsets[i + 1] - offsets[i]};
  }
};

// What is wrong with a batch, and where.
enum class RleFault {
  kNone = 0,
  kOffsets,   // offsets do not rise from 0 to the number of counts
  kNegative,  // a run length is negative
  kSum,       // the run lengths of a mask do not add up to the number of its pixels
};

struct RleReport {
  RleFault fault;
  std::int64_t row;         // of the first faulty mask
  std::int64_t found;       // the sum, run length or offset that is wrong
  std::int64_t num_pixels;  // of every mask; 0 in a batch of none
};

// Checks a batch of `num_counts` run lengths. num_pixels -1: as many as the first mask has.
RleReport rle_check(RleBatch batch, std::int64_t num_counts, std::int64_t num_pixels) noexcept;

// areas [n]: number of set pixels.
void rle_area(RleBatch batch, std::int64_t* areas) noexcept;

// boxes [n, 4]: half-open x1, y1, x2, y2 of the set pixels; zeros for an empty mask.
void rle_boxes(RleBatch batch, std::int64_t height, float* boxes) noexcept;

// Where every run ends: ends [t].
void rle_ends(RleBatch batch, std::int32_t* ends) noexcept;

// A mask as intervals of rows, at most `layers` in any column: layer l of column x1 + k holds the
// rows values[begin + 2 * l * columns + k] up to values[begin + (2 * l + 1) * columns + k], none
// where both are 0. Two of them are compared column by column in vector code.
struct MaskStrips {
  std::int64_t begin;
  std::int32_t x1, columns, layers;  // no layers: the mask has no such form, or a wasteful one
};

// Sets strips [n] of the masks of a batch; returns how many values they hold together.
std::int64_t rle_strips_plan(RleBatch batch, std::int64_t height, std::int64_t first_value,
                             MaskStrips* strips) noexcept;
void rle_strips_fill(RleBatch batch, std::int64_t height, const MaskStrips* strips,
                     std::int32_t* values, int num_threads) noexcept;

// What pairwise_rle_iou works on: scratch that the caller allocates.
struct RleOverlapScratch {
  std::int32_t* a_ends;    // as many as a and b have counts
  std::int32_t* b_ends;
  RunsSummary* summaries;  // n + m
  // Optional, for many pairs: the strips of a and then b, planned and filled; null for none.
  const MaskStrips* strips;
  const std::int32_t* strip_values;
};

// Overlap of every pair: iou [n, m]; is_crowd [m] or null. `height` may be 0 when unknown: it only
// lets pairs that lie in different rows be left out early.
Status pairwise_rle_iou(RleBatch a, RleBatch b, const std::uint8_t* is_crowd, std::int64_t height,
                        const RleOverlapScratch& scratch, double* iou, int num_threads) noexcept;

// What the first pass over a dense mask finds: how many runs it has, and rows and columns (half
// open, a little wide) outside of which no pixel differs from the one before it.
struct MaskScan {
  std::int64_t num_runs;
  std::int32_t x1, y1, x2, y2;
};

// Dense masks [n, h, w] of bytes 0 and 1 to runs, in two passes: scans [n] first, then the caller
// sums the runs into offsets [n + 1] and allocates counts.
Status rle_encode_scan(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                       std::int64_t width, MaskScan* scans, int num_threads) noexcept;
Status rle_encode_fill(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                       std::int64_t width, const MaskScan* scans, const std::int64_t* offsets,
                       std::int32_t* counts, int num_threads) noexcept;

// Runs to dense masks [n, h, w], which hold zeros when called: memory outside of the bounding
// boxes of the set pixels is not touched.
Status rle_decode(RleBatch batch, std::int64_t height, std::int64_t width, std::uint8_t* masks,
                  int num_threads) noexcept;

// Union or intersection of the masks of each group: masks group_offsets[g] up to
// group_offsets[g + 1] of the batch. A group of none gives no pixels for the union and all
// `num_pixels` for the intersection. O(runs * log(masks of a group)).
//   slots, scratch: 2 * (t + n + num_groups) counts each; group g's runs are at
//   slots + rle_slot(batch, group_offsets[g], g).
//   lengths [num_groups]: number of runs of each.
Status rle_reduce(RleBatch batch, const std::int64_t* group_offsets, std::int64_t num_groups,
                  RunsOperation operation, std::int64_t num_pixels, std::int32_t* slots,
                  std::int32_t* scratch, std::int64_t* lengths, int num_threads) noexcept;

// Where mask `row` of a batch, then `extra` masks of up to two runs, begin in a buffer that gives
// every mask room for its runs and one more.
inline std::int64_t rle_slot(RleBatch batch, std::int64_t row, std::int64_t extra) {
  return batch.offsets[row] + row + 2 * extra;
}

// Row by row, both of n masks. slots: t_a + t_b + n counts, row i's at
// a.offsets[i] + b.offsets[i] + i; lengths [n].
Status rle_combine(RleBatch a, RleBatch b, RunsOperation operation, std::int32_t* slots,
                   std::int64_t* lengths, int num_threads) noexcept;

// Moves whole columns and maps rows: what flips, crops and nearest resizes are.
struct ColumnMap {
  const std::int32_t* columns;  // [new_width]: which column of the source each column shows
  std::int64_t new_width;
  const std::int32_t* rows;  // [height + 1]: where each row boundary of the source goes
  std::int64_t height, width, new_height;
};

// Whether the columns exist and the row boundaries go from 0 to new_height, rising, or back.
bool column_map_is_sound(const ColumnMap& map) noexcept;

// In two passes: with null `offsets` and `counts`, lengths [n] receives the number of runs; then
// the caller sums them into offsets and calls again. O(runs shown + new_width) a mask.
Status rle_remap(RleBatch batch, const ColumnMap& map, std::int64_t* lengths,
                 const std::int64_t* offsets, std::int32_t* counts, int num_threads) noexcept;

// COCO's text: each run length (from the fourth on, its difference from the one two before) in
// groups of five bits, lowest first; a character is 48 + the group + 32 when another follows.
std::int64_t rle_text_size(Runs runs) noexcept;
void rle_to_text(Runs runs, char* text) noexcept;

// How many numbers a text holds when it is well formed.
std::int64_t rle_text_num_runs(const char* text, std::int64_t size) noexcept;

// Reads rle_text_num_runs(text, size) run lengths. kInvalidValue when a character is none of the
// alphabet, the last number is cut off, or a run length is negative or beyond 2^31 - 1; `fault` is
// the index of the character where that was seen.
Status rle_from_text(const char* text, std::int64_t size, std::int32_t* counts,
                     std::int64_t* fault) noexcept;

namespace cuda {

// The same on device memory, queued on `stream` (a cudaStream_t), of batches that were checked.
Status rle_area(RleBatch batch, std::int64_t* areas, void* stream) noexcept;
Status rle_boxes(RleBatch batch, std::int64_t height, float* boxes, void* stream) noexcept;
Status rle_ends(RleBatch batch, std::int32_t* ends, void* stream) noexcept;

// a_ends, b_ends: from rle_ends; summaries: scratch, n + m.
Status pairwise_rle_iou(RleBatch a, RleBatch b, const std::uint8_t* is_crowd, std::int64_t height,
                        const std::int32_t* a_ends, const std::int32_t* b_ends,
                        RunsSummary* summaries, double* iou, void* stream) noexcept;

// ends: from rle_ends; every byte of masks [n, h, w] is written.
Status rle_decode(RleBatch batch, const std::int32_t* ends, std::int64_t height,
                  std::int64_t width, std::uint8_t* masks, void* stream) noexcept;

// changes [n, w]: in how many pixels of each column a dense mask differs from the pixel before.
Status rle_encode_count(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                        std::int64_t width, std::int32_t* changes, void* stream) noexcept;
// Positions of the changes of column k at positions + starts[k]; starts [n * w].
Status rle_encode_fill(const std::uint8_t* masks, std::int64_t n, std::int64_t height,
                       std::int64_t width, const std::int64_t* starts, std::int64_t* positions,
                       void* stream) noexcept;

// rle_remap in the same two passes, column by column of the result, which has pixels. The map is
// on the device and sound; ends: from rle_ends; changes, starts [n, new_width].
Status rle_remap_count(RleBatch batch, const std::int32_t* ends, const ColumnMap& map,
                       std::int32_t* changes, void* stream) noexcept;
Status rle_remap_fill(RleBatch batch, const std::int32_t* ends, const ColumnMap& map,
                      const std::int64_t* starts, std::int64_t* positions, void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
