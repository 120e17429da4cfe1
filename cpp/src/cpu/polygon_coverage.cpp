#include <algorithm>
#include <cmath>

#include "geodet/parallel.hpp"
#include "geodet/polygon_fill.hpp"

namespace geodet {
namespace {

// Masks are covered a tile at a time: what a tile needs stays in the first-level cache, and pixels
// away from the polygons are not touched.
constexpr std::int64_t kTileRows = 16;
constexpr std::int64_t kTileColumns = 64;
// Points times tiles that a thread should have before it is worth waking: about 1 ms.
constexpr std::int64_t kWorkPerRange = 1 << 17;
// Sums of shares of a pixel round at 1e-16 of the number of edges; so close to 0 and 1 they are.
constexpr double kNothing = 1e-9;

struct Tile {
  std::int64_t x, y, columns, rows;
};

// Signed coverage of one tile by one ring, found as font rasterisers find it: every edge adds, in
// each row it passes, its height to all pixels right of it and the share right of it to those it
// passes through. Kept as differences along the rows, so an edge costs what it passes through.
class RingCoverage {
 public:
  explicit RingCoverage(const Tile& tile) : tile_(tile) {
    for (std::int64_t row = 0; row < tile.rows; ++row) {
      std::fill(steps_[row], steps_[row] + tile.columns + 1, 0.0);
    }
  }

  void add_edge(const double* from, const double* to) {
    const bool down = from[1] < to[1];
    const double* top = down ? from : to;
    const double* bottom = down ? to : from;
    const auto begin = static_cast<double>(tile_.y);
    const auto end = static_cast<double>(tile_.y + tile_.rows);
    if (bottom[1] <= begin || top[1] >= end || top[1] == bottom[1]) return;
    if (std::min(top[0], bottom[0]) >= static_cast<double>(tile_.x + tile_.columns)) return;
    // Not by the slope: that of an edge almost level is infinite.
    const double drop = bottom[1] - top[1];
    const auto x_at = [&](double y) {
      if (y >= bottom[1]) return bottom[0];
      return top[0] + (bottom[0] - top[0]) * ((y - top[1]) / drop);
    };
    const auto first = static_cast<std::int64_t>(std::floor(std::max(top[1], begin)));
    const auto last = static_cast<std::int64_t>(std::ceil(std::min(bottom[1], end)));
    double y1 = std::max(top[1], begin);
    double x1 = x_at(y1);
    for (std::int64_t row = first; row < last; ++row) {
      const double y2 = std::min(bottom[1], static_cast<double>(row + 1));
      const double x2 = x_at(y2);
      add_row(row - tile_.y, down ? y2 - y1 : y1 - y2, x1, x2);
      y1 = y2;
      x1 = x2;
    }
  }

  // Calls visit(row, column, coverage) for every pixel of the tile.
  template <typename Visit>
  void for_each_pixel(Visit&& visit) const {
    for (std::int64_t row = 0; row < tile_.rows; ++row) {
      double signed_cover = 0;
      for (std::int64_t column = 0; column < tile_.columns; ++column) {
        signed_cover += steps_[row][column];
        visit(row, column, std::fabs(signed_cover));
      }
    }
  }

 private:
  // A piece of an edge inside one row: `height` tall, from x1 to x2.
  void add_row(std::int64_t row, double height, double x1, double x2) {
    double* steps = steps_[row];
    const auto columns = static_cast<double>(tile_.columns);
    const double left = std::min(x1, x2) - static_cast<double>(tile_.x);
    const double right = std::max(x1, x2) - static_cast<double>(tile_.x);
    if (left >= columns) return;
    if (right <= 0) {
      steps[0] += height;
      return;
    }
    const double width = right - left;
    if (left < 0) steps[0] += height * (-left / width);
    const double first = std::max(left, 0.0);
    const double last = std::min(right, columns);
    for (auto column = static_cast<std::int64_t>(first); column < tile_.columns; ++column) {
      const auto x = static_cast<double>(column);
      const double begin = std::max(first, x);
      const double end = std::min(last, x + 1);
      const double share = width > 0 ? height * ((end - begin) / width) : height;
      const double covered = share * (x + 1 - (begin + end) / 2);
      steps[column] += covered;
      steps[column + 1] += share - covered;
      if (last <= x + 1) return;
    }
  }

  Tile tile_;
  double steps_[kTileRows][kTileColumns + 1];
};

RingCoverage cover_tile(RingBatch rings, std::int64_t ring, const Tile& tile) {
  RingCoverage coverage(tile);
  const double* points = rings.points + 2 * rings.offsets[ring];
  const std::int64_t count = rings.offsets[ring + 1] - rings.offsets[ring];
  for (std::int64_t k = 0; k < count; ++k) {
    coverage.add_edge(points + 2 * k, points + (k + 1 < count ? 2 * (k + 1) : 0));
  }
  return coverage;
}

// The tile's pixels of one mask: parts are cut to [0, 1], added up and cut again.
template <typename T>
void cover_mask(const PolygonBatch& polygons, std::int64_t mask, const Tile& tile, T* pixels,
                std::int64_t width) {
  double sums[kTileRows][kTileColumns] = {};
  double part[kTileRows][kTileColumns];
  for (std::int64_t p = polygons.mask_offsets[mask]; p < polygons.mask_offsets[mask + 1]; ++p) {
    const std::int64_t outline = polygons.part_offsets[p];
    cover_tile(polygons.rings, outline, tile)
        .for_each_pixel(
            [&](std::int64_t y, std::int64_t x, double cover) { part[y][x] = cover; });
    for (std::int64_t hole = outline + 1; hole < polygons.part_offsets[p + 1]; ++hole) {
      cover_tile(polygons.rings, hole, tile)
          .for_each_pixel(
              [&](std::int64_t y, std::int64_t x, double cover) { part[y][x] -= cover; });
    }
    for (std::int64_t y = 0; y < tile.rows; ++y) {
      for (std::int64_t x = 0; x < tile.columns; ++x) {
        sums[y][x] += std::min(std::max(part[y][x], 0.0), 1.0);
      }
    }
  }
  for (std::int64_t y = 0; y < tile.rows; ++y) {
    T* row = pixels + (tile.y + y) * width + tile.x;
    for (std::int64_t x = 0; x < tile.columns; ++x) {
      const double sum = sums[y][x];
      row[x] = static_cast<T>(sum < kNothing ? 0.0 : sum > 1 - kNothing ? 1.0 : sum);
    }
  }
}

// Rows and columns of an image that the points of a mask span, half-open.
Tile spanned(const PolygonBatch& polygons, std::int64_t mask, std::int64_t height,
             std::int64_t width) {
  const std::int64_t* rings = polygons.rings.offsets;
  const std::int64_t first = rings[polygons.part_offsets[polygons.mask_offsets[mask]]];
  const std::int64_t last = rings[polygons.part_offsets[polygons.mask_offsets[mask + 1]]];
  if (first == last) return {0, 0, 0, 0};
  double low[2] = {kMaxCoordinate, kMaxCoordinate};
  double high[2] = {-kMaxCoordinate, -kMaxCoordinate};
  for (std::int64_t k = 2 * first; k < 2 * last; ++k) {
    low[k % 2] = std::min(low[k % 2], polygons.rings.points[k]);
    high[k % 2] = std::max(high[k % 2], polygons.rings.points[k]);
  }
  const auto inside = [](double value, std::int64_t side) {
    return static_cast<std::int64_t>(std::min(std::max(value, 0.0), static_cast<double>(side)));
  };
  const std::int64_t x = inside(std::floor(low[0]), width);
  const std::int64_t y = inside(std::floor(low[1]), height);
  return {x, y, inside(std::ceil(high[0]), width) - x, inside(std::ceil(high[1]), height) - y};
}

template <typename T>
void cover_image(const PolygonBatch& polygons, std::int64_t mask, std::int64_t height,
                 std::int64_t width, T* pixels) {
  const Tile all = spanned(polygons, mask, height, width);
  for (std::int64_t y = all.y; y < all.y + all.rows; y += kTileRows) {
    for (std::int64_t x = all.x; x < all.x + all.columns; x += kTileColumns) {
      const Tile tile{x, y, std::min(kTileColumns, all.x + all.columns - x),
                      std::min(kTileRows, all.y + all.rows - y)};
      cover_mask(polygons, mask, tile, pixels, width);
    }
  }
}

template <typename T>
Status cover_all(const PolygonBatch& polygons, std::int64_t height, std::int64_t width,
                 T* coverage, int num_threads) {
  if (height < 0 || width < 0) return Status::kInvalidArgument;
  const std::int64_t points = polygons.rings.offsets[polygons.rings.size];
  const std::int64_t tiles = 1 + height * width / (16 * kTileRows * kTileColumns);
  const std::int64_t work = (points / std::max<std::int64_t>(polygons.size, 1) + 64) * tiles;
  parallel_for(polygons.size, std::max<std::int64_t>(kWorkPerRange / work, 1), num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   cover_image(polygons, i, height, width, coverage + i * height * width);
                 }
               });
  return Status::kOk;
}

}  // namespace

Status polygon_coverage(PolygonBatch polygons, std::int64_t height, std::int64_t width,
                        float* coverage, int num_threads) noexcept {
  return cover_all(polygons, height, width, coverage, num_threads);
}

Status polygon_coverage(PolygonBatch polygons, std::int64_t height, std::int64_t width,
                        double* coverage, int num_threads) noexcept {
  return cover_all(polygons, height, width, coverage, num_threads);
}

}  // namespace geodet
