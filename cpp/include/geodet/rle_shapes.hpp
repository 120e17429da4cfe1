// Connected components, contours and quarter turns of run lengths, none of which makes a mask
// dense. All begin with the segments of a batch: mask i has segment_offsets[i + 1] -
// segment_offsets[i] of them, as rle_count_segments says.
#pragma once

#include <cstdint>

#include "geodet/rle_columns.hpp"

namespace geodet {

// Which pixels are neighbours: those that share a side, or those that share a corner too.
enum class Connectivity { kSides, kCorners };

struct SegmentBatch {
  const ColumnSegment* segments;
  const std::int64_t* offsets;  // [n + 1]
  std::int64_t size;
};

// segments [s]: of all masks.
void rle_list_segments(RleBatch batch, std::int64_t height, const std::int64_t* segment_offsets,
                       ColumnSegment* segments, int num_threads) noexcept;

// labels [s]: component of each segment within its mask, from 0, in the order of the components'
// first pixels (leftmost column, then topmost row); num_components [n].
Status label_segments(SegmentBatch batch, Connectivity connectivity, std::int32_t* labels,
                      std::int64_t* num_components, int num_threads) noexcept;

// Labels of pixels: labels [n, h, w], zero when called, receives 1 + component of set pixels.
void paint_labels(SegmentBatch batch, const std::int32_t* segment_labels, std::int64_t height,
                  std::int64_t width, std::int32_t* labels, int num_threads) noexcept;

// Each component as a mask. component_offsets [n + 1]: sums of num_components.
//   sizes [c]: number of segments of each component.
void count_component_segments(SegmentBatch batch, const std::int32_t* labels,
                              const std::int64_t* component_offsets, std::int64_t* sizes) noexcept;
//   slot_offsets [c]: room for 2 * size + 1 runs each; ends [c]: scratch;
//   lengths [c]: runs of each.
void write_components(SegmentBatch batch, const std::int32_t* labels,
                      const std::int64_t* component_offsets, std::int64_t height,
                      std::int64_t num_pixels, const std::int64_t* slot_offsets,
                      std::int32_t* slots, std::int64_t* ends, std::int64_t* lengths,
                      int num_threads) noexcept;

// A corner of an outline. Corners 2 k and 2 k + 1 of a mask are the ends of a vertical edge.
struct Corner {
  std::int64_t across;  // the other end of its horizontal edge
  std::int32_t x, y;
  std::int32_t owner;  // c: pixels of component c to the lower right; -1 - c: to the lower left
  std::int32_t seen;   // 0 before the corner's ring was walked
};

// A closed ring of corners, none on a straight line between its neighbours.
struct Ring {
  std::int64_t first;   // corner of its mask: the leftmost, of those the topmost
  std::int64_t length;  // number of corners
  std::int64_t place;   // among all rings of the batch
  std::int32_t owner;   // as for the first corner
};

// num_corners [n]; labels [s] of sides.
void count_corners(SegmentBatch batch, std::int64_t* num_corners, int num_threads) noexcept;

// Walks the borders between set and other pixels: the outline of a component clockwise on the
// screen, its holes counter-clockwise, set pixels always to the right of the walk. Where two set
// pixels of one component touch at a corner only, the ring turns so that no ring meets itself;
// where they are of two components, so that the rings of both touch.
//   labels [s]: from label_segments with kSides. corner_offsets [n + 1]: sums of num_corners.
//   corners: one each. open_rows: scratch, n * (height + 1). rings: those of mask i from
//   corner_offsets[i] / 4; num_rings [n].
void trace_rings(SegmentBatch batch, const std::int32_t* labels, std::int64_t height,
                 const std::int64_t* corner_offsets, Corner* corners, std::int64_t* open_rows,
                 Ring* rings, std::int64_t* num_rings, int num_threads) noexcept;

// Orders rings by mask, then by component, the outline of a component before its holes.
//   ring_offsets [all rings + 1], part_offsets [c + 1]; next: scratch, c.
void place_rings(std::int64_t num_masks, const std::int64_t* corner_offsets, Ring* rings,
                 const std::int64_t* num_rings, const std::int64_t* component_offsets,
                 std::int64_t* ring_offsets, std::int64_t* part_offsets,
                 std::int64_t* next) noexcept;

// points [p, 2]: corners of every ring where place_rings put it.
void write_ring_points(std::int64_t num_masks, const std::int64_t* corner_offsets,
                       const Corner* corners, const Ring* rings, const std::int64_t* num_rings,
                       const std::int64_t* ring_offsets, double* points,
                       int num_threads) noexcept;

// Rows as columns. num_row_runs [n]: stretches of set pixels in all rows of each mask; row_counts:
// scratch, n * (height + 1).
void count_row_runs(SegmentBatch batch, std::int64_t height, std::int64_t* row_counts,
                    std::int64_t* num_row_runs, int num_threads) noexcept;

// Which way the rows of a mask become columns.
struct RowsToColumns {
  bool bottom_row_first;
  bool right_end_first;
};

//   row_counts: as count_row_runs left it; row_run_offsets [n + 1]; row_runs: scratch, two of each;
//   slots: 2 * num_row_runs + 1 runs of mask i from 2 * row_run_offsets[i] + i; lengths [n].
void write_turned(SegmentBatch batch, std::int64_t height, std::int64_t width, RowsToColumns way,
                  std::int64_t* row_counts, const std::int64_t* row_run_offsets,
                  std::int32_t* row_runs, std::int32_t* slots, std::int64_t* lengths,
                  int num_threads) noexcept;

}  // namespace geodet
