#include "geodet/polygon_fill.hpp"

#include <algorithm>
#include <atomic>

#include "geodet/host_device.hpp"
#include "geodet/parallel.hpp"
#include "geodet/ring_edges.hpp"

namespace geodet {
namespace {

// Bytes of masks, and points, that a thread should have before it is worth waking: about 0.3 ms.
constexpr std::int64_t kBytesPerRange = 4 << 20;
constexpr std::int64_t kPointsPerRange = 1 << 13;

// While a mask is filled, the bits of its bytes say what they are in.
constexpr std::uint8_t kMaskBit = 1;  // the union of the parts so far
constexpr std::uint8_t kPartBit = 2;  // the part that is being filled
constexpr std::uint8_t kHoleBit = 4;  // the hole of it that is being filled

struct Plane {
  std::uint8_t* pixels;
  std::int64_t height, width;
};

// Half-open columns and rows.
struct Extent {
  std::int64_t x1, y1, x2, y2;

  void include(const Extent& other) {
    x1 = std::min(x1, other.x1);
    y1 = std::min(y1, other.y1);
    x2 = std::max(x2, other.x2);
    y2 = std::max(y2, other.y2);
  }
};

GEODET_CLONES void carry_bit(std::uint8_t* row, const std::uint8_t* above, std::int64_t count,
                             std::uint8_t bit) {
  for (std::int64_t x = 0; x < count; ++x) {
    row[x] = static_cast<std::uint8_t>(row[x] ^ (above[x] & bit));
  }
}

GEODET_CLONES void take_hole_from_part(std::uint8_t* row, std::int64_t count) {
  for (std::int64_t x = 0; x < count; ++x) {
    const unsigned in_hole = row[x] & kHoleBit;
    row[x] = static_cast<std::uint8_t>(row[x] & ~(kHoleBit | (in_hole >> 1)));
  }
}

GEODET_CLONES void add_part_to_mask(std::uint8_t* row, std::int64_t count) {
  for (std::int64_t x = 0; x < count; ++x) {
    row[x] = static_cast<std::uint8_t>((row[x] | (row[x] >> 1)) & kMaskBit);
  }
}

template <typename Work>
void for_each_row(const Plane& plane, const Extent& extent, Work&& work) {
  for (std::int64_t y = extent.y1; y < extent.y2; ++y) {
    work(plane.pixels + y * plane.width + extent.x1, extent.x2 - extent.x1);
  }
}

// Flips a bit where edges cross columns, then lets every flip run down: whole rows at a time.
// Edges cross each column an even number of times, so none runs into the next column.
Extent fill_ring(RingBatch rings, std::int64_t i, const Frame& frame, const Plane& plane,
                 std::uint8_t bit) {
  Extent extent{plane.width, plane.height, 0, 0};
  for_each_edge(rings, i, frame, [&](const GridEdge& edge) {
    const GridEdge::Columns columns = edge.crossed(plane.width);
    if (columns.count == 0) return;
    const std::int64_t end = columns.first + columns.count;
    extent.x1 = std::min(extent.x1, columns.first);
    extent.x2 = std::max(extent.x2, end);
    for (std::int64_t c = columns.first; c < end; ++c) {
      const std::int64_t y = edge.row(c, plane.height);
      extent.y1 = std::min(extent.y1, y);
      extent.y2 = std::max(extent.y2, y);
      if (y < plane.height) plane.pixels[y * plane.width + c] ^= bit;
    }
  });
  const std::int64_t bottom = std::min(extent.y2 + 1, plane.height);
  for (std::int64_t y = extent.y1 + 1; y < bottom; ++y) {
    std::uint8_t* row = plane.pixels + y * plane.width + extent.x1;
    carry_bit(row, row - plane.width, extent.x2 - extent.x1, bit);
  }
  if (extent.x2 <= extent.x1) return {0, 0, 0, 0};
  return extent;
}

void fill_mask(const PolygonBatch& polygons, std::int64_t mask, const Frame& frame,
               const Plane& plane) {
  if (plane.height == 0 || plane.width == 0) return;
  const std::int64_t first = polygons.mask_offsets[mask];
  const std::int64_t last = polygons.mask_offsets[mask + 1];
  const std::int64_t* rings = polygons.part_offsets;
  if (last - first == 1 && rings[last] - rings[first] == 1) {
    (void)fill_ring(polygons.rings, rings[first], frame, plane, kMaskBit);
    return;
  }
  for (std::int64_t part = first; part < last; ++part) {
    const Extent outline = fill_ring(polygons.rings, rings[part], frame, plane, kPartBit);
    for (std::int64_t ring = rings[part] + 1; ring < rings[part + 1]; ++ring) {
      const Extent hole = fill_ring(polygons.rings, ring, frame, plane, kHoleBit);
      for_each_row(plane, hole, take_hole_from_part);
    }
    for_each_row(plane, outline, add_part_to_mask);
  }
}

std::int64_t masks_per_range(const PolygonBatch& polygons, std::int64_t num_pixels) {
  const std::int64_t masks = std::max<std::int64_t>(polygons.size, 1);
  const std::int64_t points = polygons.rings.offsets[polygons.rings.size] / masks + 1;
  const std::int64_t by_bytes = kBytesPerRange / std::max<std::int64_t>(num_pixels, 1);
  return std::max<std::int64_t>(std::min(by_bytes, kPointsPerRange / points), 1);
}

// The frame of a box, and whether all points of a mask can be used in it.
Frame box_frame(const double* box, double min_side, std::int64_t side) {
  const auto pixels = static_cast<double>(side);
  return {box[0], box[1], pixels / std::max(box[2] - box[0], min_side),
          pixels / std::max(box[3] - box[1], min_side)};
}

bool is_usable(const PolygonBatch& polygons, std::int64_t mask, const Frame& frame) {
  const std::int64_t* rings = polygons.part_offsets;
  const std::int64_t* points = polygons.rings.offsets;
  const std::int64_t first = points[rings[polygons.mask_offsets[mask]]];
  const std::int64_t last = points[rings[polygons.mask_offsets[mask + 1]]];
  for (std::int64_t k = first; k < last; ++k) {
    const double* point = polygons.rings.points + 2 * k;
    if (!is_usable_coordinate(frame.shown_x(point[0])) ||
        !is_usable_coordinate(frame.shown_y(point[1]))) {
      return false;
    }
  }
  return true;
}

}  // namespace

Status fill_polygons(PolygonBatch polygons, std::int64_t height, std::int64_t width,
                     std::uint8_t* masks, int num_threads) noexcept {
  if (height < 0 || width < 0) return Status::kInvalidArgument;
  parallel_for(polygons.size, masks_per_range(polygons, height * width), num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   fill_mask(polygons, i, {}, {masks + i * height * width, height, width});
                 }
               });
  return Status::kOk;
}

Status fill_polygon_rois(PolygonBatch polygons, const double* boxes, double min_side,
                         std::int64_t side, std::uint8_t* masks, std::int64_t* row,
                         int num_threads) noexcept {
  if (side < 1 || !(min_side > 0)) return Status::kInvalidArgument;
  std::atomic<std::int64_t> first_bad{polygons.size};
  parallel_for(polygons.size, masks_per_range(polygons, side * side), num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const Frame frame = box_frame(boxes + 4 * i, min_side, side);
                   if (is_usable(polygons, i, frame)) {
                     fill_mask(polygons, i, frame, {masks + i * side * side, side, side});
                     continue;
                   }
                   std::int64_t known = first_bad.load();
                   while (i < known && !first_bad.compare_exchange_weak(known, i)) {
                   }
                 }
               });
  *row = first_bad.load();
  return *row < polygons.size ? Status::kInvalidValue : Status::kOk;
}

}  // namespace geodet
