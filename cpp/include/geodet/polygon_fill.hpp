// Polygons to dense masks: COCO's pixels, or the share of every pixel that is covered.
#pragma once

#include <cstdint>

#include "geodet/polygons.hpp"
#include "geodet/status.hpp"

namespace geodet {

// Ring i as in RingBatch; part i is ring part_offsets[i], its outline, minus the rings up to
// part_offsets[i + 1], its holes; mask i is the union of parts mask_offsets[i] up to
// mask_offsets[i + 1].
struct PolygonBatch {
  RingBatch rings;
  const std::int64_t* part_offsets;
  const std::int64_t* mask_offsets;
  std::int64_t size;
};

// masks [n, h, w], zeros when called: bytes 0 and 1, the pixels of rasterize_rings. Memory outside
// of the boxes of the rings is not touched.
Status fill_polygons(PolygonBatch polygons, std::int64_t height, std::int64_t width,
                     std::uint8_t* masks, int num_threads) noexcept;

// Moves mask i from box i of boxes [n, 4] (x1, y1, x2, y2; a side counts as min_side at least) to
// side x side pixels and fills it there: masks [n, side, side], zeros when called.
// kInvalidValue when a coordinate cannot be used; *row is then the first such mask.
Status fill_polygon_rois(PolygonBatch polygons, const double* boxes, double min_side,
                         std::int64_t side, std::uint8_t* masks, std::int64_t* row,
                         int num_threads) noexcept;

// coverage [n, h, w], zeros when called: the share of each pixel that a mask covers. A part covers
// what its outline does minus what its holes do, parts add up, and the sum ends at 1: exact where
// rings do not cross themselves or each other and parts do not overlap. Within 1e-9 of 0 and 1 it
// is 0 and 1. A ring that winds several times counts as often, up to 1 for its part.
Status polygon_coverage(PolygonBatch polygons, std::int64_t height, std::int64_t width,
                        float* coverage, int num_threads) noexcept;
Status polygon_coverage(PolygonBatch polygons, std::int64_t height, std::int64_t width,
                        double* coverage, int num_threads) noexcept;

}  // namespace geodet
