#include "geodet/polygon_clip.hpp"

#include <algorithm>
#include <utility>

namespace geodet {
namespace {

// One border of the window: inside is where `sign` times a coordinate is more than `sign` times the
// bound. Points on it are outside: an edge along the border opens the ring there, and a notch that
// reaches the border parts it.
struct Border {
  bool is_x;
  double bound, sign;

  double depth(RingPoint point) const { return sign * ((is_x ? point.x : point.y) - bound); }
  double along(RingPoint point) const { return is_x ? point.y : point.x; }

  // Where an edge crosses, worked out from its inner end whichever way the edge runs.
  RingPoint crossing(RingPoint inside, RingPoint outside) const {
    const double depth_inside = depth(inside);
    const double depth_outside = depth(outside);
    if (depth_outside == 0) return outside;
    const double share = depth_inside / (depth_inside - depth_outside);
    const double x = inside.x + share * (outside.x - inside.x);
    const double y = inside.y + share * (outside.y - inside.y);
    return is_x ? RingPoint{bound, y} : RingPoint{x, bound};
  }
};

bool same_place(RingPoint a, RingPoint b) { return a.x == b.x && a.y == b.y; }

// A ring as a list that can be read in both directions.
struct RingView {
  const RingPoint* points;
  std::int64_t count;
  bool is_reversed;

  RingPoint operator[](std::int64_t k) const {
    const std::int64_t wrapped = k < 0 ? k + count : k < count ? k : k - count;
    return points[is_reversed ? count - 1 - wrapped : wrapped];
  }
};

double area_of(const RingPoint* points, std::int64_t count) { return ring_area(&points->x, count); }

// Cuts one part at one border.
class PartCut {
 public:
  PartCut(const Border& border, const ClipScratch& scratch) : border_(border), scratch_(scratch) {}

  void add_ring(const RingPoint* points, std::int64_t count, bool is_hole) {
    std::int64_t inside = 0;
    std::int64_t on_border = 0;
    for (std::int64_t k = 0; k < count; ++k) {
      inside += border_.depth(points[k]) > 0 ? 1 : 0;
      on_border += border_.depth(points[k]) == 0 ? 1 : 0;
    }
    if (inside == 0) return;
    // A hole that touches the border in one point is a hole still; in two, it opens.
    if (inside == count || (is_hole && on_border == 1 && inside == count - 1)) {
      const std::int64_t begin = ring_points_;
      for (std::int64_t k = 0; k < count; ++k) scratch_.ring_points[ring_points_++] = points[k];
      scratch_.rings[rings_++] = {begin, ring_points_, is_hole, 0};
      return;
    }
    // Outlines run clockwise and holes do not, so that what lies right of every edge is inside.
    cut({points, count, (area_of(points, count) < 0) != is_hole});
  }

  void finish(PartList* out) {
    join_chains();
    std::int64_t last_outline = -1;
    std::int64_t outlines = 0;
    for (std::int64_t i = 0; i < rings_; ++i) {
      if (scratch_.rings[i].is_hole) continue;
      last_outline = i;
      ++outlines;
    }
    if (outlines == 0) return;
    for (std::int64_t i = 0; i < rings_; ++i) {
      ClipRing& ring = scratch_.rings[i];
      if (ring.is_hole) ring.owner = outlines == 1 ? last_outline : owner_of(ring);
    }
    for (std::int64_t i = 0; i < rings_; ++i) {
      if (scratch_.rings[i].is_hole) continue;
      copy_ring(scratch_.rings[i], out);
      for (std::int64_t k = 0; k < rings_; ++k) {
        const ClipRing& hole = scratch_.rings[k];
        if (hole.is_hole && hole.owner == i) copy_ring(hole, out);
      }
      out->part_ends[out->num_parts++] = out->num_rings;
    }
  }

 private:
  // The stretches of a ring that lie inside; some points do and some do not.
  void cut(const RingView& ring) {
    std::int64_t start = 0;
    const auto is_inside = [&](std::int64_t k) { return border_.depth(ring[k]) > 0; };
    while (!is_inside(start) || is_inside(start - 1)) ++start;
    ClipChain chain{};
    for (std::int64_t k = start; k < start + ring.count; ++k) {
      const std::int64_t here = k < ring.count ? k : k - ring.count;
      if (!is_inside(here)) continue;
      if (!is_inside(here - 1)) {
        const RingPoint entry = border_.crossing(ring[here], ring[here - 1]);
        chain.begin = chain_points_;
        chain.entry = border_.along(entry);
        scratch_.chain_points[chain_points_++] = entry;
      }
      scratch_.chain_points[chain_points_++] = ring[here];
      if (!is_inside(here + 1)) {
        const RingPoint exit = border_.crossing(ring[here], ring[here + 1]);
        scratch_.chain_points[chain_points_++] = exit;
        chain.end = chain_points_;
        chain.exit = border_.along(exit);
        scratch_.chains[chains_++] = chain;
      }
    }
  }

  // Along the border, inside lies between the first and the second crossing, the third and the
  // fourth, and so on; of each such two, one leaves and one enters.
  void join_chains() {
    for (std::int64_t i = 0; i < chains_; ++i) scratch_.entries[i] = scratch_.exits[i] = i;
    const ClipChain* chains = scratch_.chains;
    std::sort(scratch_.entries, scratch_.entries + chains_, [&](std::int64_t a, std::int64_t b) {
      return chains[a].entry < chains[b].entry || (chains[a].entry == chains[b].entry && a < b);
    });
    std::sort(scratch_.exits, scratch_.exits + chains_, [&](std::int64_t a, std::int64_t b) {
      return chains[a].exit < chains[b].exit || (chains[a].exit == chains[b].exit && a < b);
    });
    for (std::int64_t i = 0; i < chains_; ++i) {
      scratch_.chains[scratch_.exits[i]].next = scratch_.entries[i];
    }
    for (std::int64_t i = 0; i < chains_; ++i) {
      if (!scratch_.chains[i].is_used) close_ring(i);
    }
  }

  void close_ring(std::int64_t first) {
    const std::int64_t begin = ring_points_;
    std::int64_t i = first;
    do {
      ClipChain& chain = scratch_.chains[i];
      chain.is_used = true;
      for (std::int64_t k = chain.begin; k < chain.end; ++k) {
        const RingPoint point = scratch_.chain_points[k];
        const bool is_new =
            ring_points_ == begin || !same_place(scratch_.ring_points[ring_points_ - 1], point);
        if (is_new) scratch_.ring_points[ring_points_++] = point;
      }
      i = chain.next;
    } while (i != first);
    const RingPoint* points = scratch_.ring_points + begin;
    while (ring_points_ - begin > 1 && same_place(points[0], points[ring_points_ - begin - 1])) {
      --ring_points_;
    }
    const std::int64_t count = ring_points_ - begin;
    const double area = count < 3 ? 0 : area_of(points, count);
    if (area == 0) {
      ring_points_ = begin;
      return;
    }
    scratch_.rings[rings_++] = {begin, ring_points_, area < 0, 0};
  }

  // The outline that holds most points of a hole: those that touch it may fall to either side.
  std::int64_t owner_of(const ClipRing& hole) const {
    std::int64_t owner = 0;
    std::int64_t most = -1;
    for (std::int64_t i = 0; i < rings_; ++i) {
      const ClipRing& outline = scratch_.rings[i];
      if (outline.is_hole) continue;
      std::int64_t held = 0;
      for (std::int64_t k = hole.begin; k < hole.end; ++k) {
        held += contains(outline, scratch_.ring_points[k]) ? 1 : 0;
      }
      if (held > most) {
        most = held;
        owner = i;
      }
    }
    return owner;
  }

  bool contains(const ClipRing& ring, RingPoint point) const {
    const RingPoint* points = scratch_.ring_points;
    bool inside = false;
    RingPoint a = points[ring.end - 1];
    for (std::int64_t k = ring.begin; k < ring.end; ++k) {
      const RingPoint b = points[k];
      if ((a.y <= point.y) != (b.y <= point.y)) {
        const double side = doubled_triangle(&a.x, &b.x, &point.x);
        if ((side > 0) == (b.y > a.y)) inside = !inside;
      }
      a = b;
    }
    return inside;
  }

  void copy_ring(const ClipRing& ring, PartList* out) const {
    std::copy(scratch_.ring_points + ring.begin, scratch_.ring_points + ring.end,
              out->points + out->num_points);
    out->num_points += ring.end - ring.begin;
    out->ring_ends[out->num_rings++] = out->num_points;
  }

  Border border_;
  ClipScratch scratch_;
  std::int64_t chain_points_ = 0, chains_ = 0, ring_points_ = 0, rings_ = 0;
};

void clear(PartList* list) { list->num_points = list->num_rings = list->num_parts = 0; }

// Appends part `part` of a batch, or of a list.
void copy_part(const PolygonBatch& polygons, std::int64_t part, PartList* out) {
  for (std::int64_t r = polygons.part_offsets[part]; r < polygons.part_offsets[part + 1]; ++r) {
    for (std::int64_t k = polygons.rings.offsets[r]; k < polygons.rings.offsets[r + 1]; ++k) {
      out->points[out->num_points++] = {polygons.rings.points[2 * k],
                                        polygons.rings.points[2 * k + 1]};
    }
    out->ring_ends[out->num_rings++] = out->num_points;
  }
  out->part_ends[out->num_parts++] = out->num_rings;
}

void copy_parts(const PartList& list, PartList* out) {
  std::copy(list.points, list.points + list.num_points, out->points + out->num_points);
  for (std::int64_t i = 0; i < list.num_rings; ++i) {
    out->ring_ends[out->num_rings + i] = out->num_points + list.ring_ends[i];
  }
  for (std::int64_t i = 0; i < list.num_parts; ++i) {
    out->part_ends[out->num_parts + i] = out->num_rings + list.part_ends[i];
  }
  out->num_points += list.num_points;
  out->num_rings += list.num_rings;
  out->num_parts += list.num_parts;
}

void cut_parts(const PartList& parts, const Border& border, const ClipScratch& scratch,
               PartList* out) {
  std::int64_t ring = 0;
  std::int64_t begin = 0;
  for (std::int64_t part = 0; part < parts.num_parts; ++part) {
    PartCut cut(border, scratch);
    for (bool is_hole = false; ring < parts.part_ends[part]; ++ring, is_hole = true) {
      cut.add_ring(parts.points + begin, parts.ring_ends[ring] - begin, is_hole);
      begin = parts.ring_ends[ring];
    }
    cut.finish(out);
  }
}

bool lies_inside(const PartList& parts, const double* window) {
  return std::all_of(parts.points, parts.points + parts.num_points, [&](RingPoint point) {
    return point.x >= window[0] && point.y >= window[1] && point.x <= window[2] &&
           point.y <= window[3];
  });
}

void clip_part(const double* window, ClipScratch& scratch, PartList* out) {
  if (!lies_inside(scratch.here, window)) {
    const Border borders[4] = {
        {true, window[0], 1}, {false, window[1], 1}, {true, window[2], -1}, {false, window[3], -1}};
    for (const Border& border : borders) {
      clear(&scratch.there);
      cut_parts(scratch.here, border, scratch, &scratch.there);
      std::swap(scratch.here, scratch.there);
    }
  }
  copy_parts(scratch.here, out);
}

}  // namespace

Status clip_polygons(PolygonBatch polygons, const double* window, ClipScratch scratch,
                     PartList* out, std::int64_t* mask_ends) noexcept {
  if (!(window[0] <= window[2] && window[1] <= window[3])) return Status::kInvalidArgument;
  clear(out);
  for (std::int64_t mask = 0; mask < polygons.size; ++mask) {
    for (std::int64_t part = polygons.mask_offsets[mask]; part < polygons.mask_offsets[mask + 1];
         ++part) {
      clear(&scratch.here);
      copy_part(polygons, part, &scratch.here);
      clip_part(window, scratch, out);
    }
    mask_ends[mask] = out->num_parts;
  }
  return Status::kOk;
}

}  // namespace geodet
