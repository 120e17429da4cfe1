#include "geodet/hulls.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "geodet/orientation.hpp"
#include "geodet/parallel.hpp"

namespace geodet {
namespace {

// Points that a thread should have before it is worth waking: about 0.3 ms of sorting.
constexpr std::int64_t kPointsPerRange = 1 << 13;
constexpr double kDegreesPerRadian = 57.29577951308232;
// Areas of the sides of one rectangle differ by rounding; they are ties.
constexpr double kTie = 1 + 1e-12;
constexpr double kTieDegrees = 1e-9;

// Below this products of coordinates vanish: such a coordinate counts as 0.
constexpr double kSmallest = 1e-100;

double flushed(double value) { return std::fabs(value) < kSmallest ? 0 : value; }

// Andrew's monotone chain (1979); exact, as orientation is. Returns the number of corners.
std::int64_t hull_of(HullPoint* sorted, std::int64_t count, HullPoint* hull) {
  std::sort(sorted, sorted + count, [](HullPoint a, HullPoint b) {
    return a.x < b.x || (a.x == b.x && a.y < b.y);
  });
  const auto same = [](HullPoint a, HullPoint b) { return a.x == b.x && a.y == b.y; };
  count = std::unique(sorted, sorted + count, same) - sorted;
  if (count < 3) {
    std::copy(sorted, sorted + count, hull);
    return count;
  }
  std::int64_t size = 0;
  const auto add = [&](HullPoint point, std::int64_t begin) {
    while (size - begin >= 2 &&
           orientation(&hull[size - 2].x, &hull[size - 1].x, &point.x) <= 0) {
      --size;
    }
    hull[size++] = point;
  };
  for (std::int64_t k = 0; k < count; ++k) add(sorted[k], 0);
  const std::int64_t turn = size - 1;
  for (std::int64_t k = count - 2; k >= 0; --k) add(sorted[k], turn);
  return size - 1;  // the first point again
}

struct Vector {
  double x, y;
};

Vector between(HullPoint from, HullPoint to) { return {to.x - from.x, to.y - from.y}; }
double dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y; }
double cross(Vector a, Vector b) { return a.x * b.y - a.y * b.x; }

// The rectangle with a side along an edge of a hull, measured from the edge's first point in
// lengths of the edge.
struct Fit {
  HullPoint origin;
  Vector edge;
  double squared;            // length of the edge
  double low, high, height;  // along the edge, and across it: times `squared`

  double area() const { return (high - low) * height / squared; }
};

// Rotating calipers (Shamos 1978): the corners furthest along, against and across an edge move
// on as the edge does.
class Calipers {
 public:
  Calipers(const HullPoint* hull, std::int64_t size) : hull_(hull), size_(size) {
    const Vector edge = between(hull[0], at(1));
    for (std::int64_t k = 1; k < size; ++k) {
      const Vector arm = between(hull[0], hull[k]);
      if (dot(edge, arm) > dot(edge, between(hull[0], hull[right_]))) right_ = k;
      if (dot(edge, arm) < dot(edge, between(hull[0], hull[left_]))) left_ = k;
      if (cross(edge, arm) > cross(edge, between(hull[0], hull[top_]))) top_ = k;
    }
  }

  // Call with k = 0, 1, 2 ... in this order.
  Fit fit(std::int64_t k) {
    const HullPoint origin = hull_[k];
    const Vector edge = between(origin, at(k + 1));
    advance(&right_, [&](Vector step) { return dot(edge, step) > 0; });
    advance(&top_, [&](Vector step) { return cross(edge, step) > 0; });
    advance(&left_, [&](Vector step) { return dot(edge, step) < 0; });
    return {origin,
            edge,
            dot(edge, edge),
            dot(edge, between(origin, hull_[left_])),
            dot(edge, between(origin, hull_[right_])),
            cross(edge, between(origin, hull_[top_]))};
  }

 private:
  HullPoint at(std::int64_t k) const { return hull_[k < size_ ? k : k - size_]; }

  template <typename Further>
  void advance(std::int64_t* corner, Further&& further) {
    for (std::int64_t steps = 0; steps < size_; ++steps) {
      if (!further(between(hull_[*corner], at(*corner + 1)))) return;
      *corner = *corner + 1 < size_ ? *corner + 1 : 0;
    }
  }

  const HullPoint* hull_;
  std::int64_t size_;
  std::int64_t right_ = 0, top_ = 0, left_ = 0;
};

// A direction turned by quarters until it points right, between 45 degrees down and just below 45
// degrees up; `turned` says whether the quarters were odd.
struct Leaning {
  Vector right;
  bool turned;
};

Leaning lean(Vector direction) {
  bool turned = false;
  while (!(direction.x > 0 && direction.y > -direction.x && direction.y <= direction.x)) {
    direction = {-direction.y, direction.x};
    turned = !turned;
  }
  return {direction, turned};
}

// Positive counter-clockwise on the screen, where y points down.
double angle_deg(Vector right) { return -std::atan2(right.y, right.x) * kDegreesPerRadian + 0.0; }

void write(const Fit& fit, double* rectangle) {
  const Leaning leaning = lean(fit.edge);
  const double length = std::sqrt(fit.squared);
  const double along = (fit.low + fit.high) / 2 / fit.squared;
  const double across = fit.height / 2 / fit.squared;
  const double width = (fit.high - fit.low) / length;
  const double height = fit.height / length;
  rectangle[0] = fit.origin.x + along * fit.edge.x - across * fit.edge.y;
  rectangle[1] = fit.origin.y + along * fit.edge.y + across * fit.edge.x;
  rectangle[2] = leaning.turned ? height : width;
  rectangle[3] = leaning.turned ? width : height;
  rectangle[4] = angle_deg(leaning.right);
  if (rectangle[4] >= 45) {  // a direction just below 45 degrees whose angle was rounded up
    std::swap(rectangle[2], rectangle[3]);
    rectangle[4] -= 90;
  }
}

// Of two angles in [-45, 45), which one ties go to.
bool is_preferred(double angle, double best) {
  const double size = std::fabs(angle);
  const double best_size = std::fabs(best);
  return size < best_size - kTieDegrees || (size <= best_size + kTieDegrees && angle > best);
}

// A smallest rectangle has a side along an edge of the hull (Freeman & Shapira 1975).
void rectangle_of(const HullPoint* hull, std::int64_t size, double* rectangle) {
  std::fill(rectangle, rectangle + 5, 0.0);
  if (size == 0) return;
  const HullPoint origin = hull[0];
  rectangle[0] = origin.x;
  rectangle[1] = origin.y;
  if (size == 1) return;
  if (size == 2) {
    const Vector edge = between(origin, hull[1]);
    const double squared = dot(edge, edge);
    write({origin, edge, squared, 0, squared, 0}, rectangle);
    return;
  }
  double smallest = 0;
  Calipers first(hull, size);
  for (std::int64_t k = 0; k < size; ++k) {
    const double area = first.fit(k).area();
    if (k == 0 || !(area >= smallest)) smallest = area;
  }
  bool found = false;
  double best = 0;
  Calipers second(hull, size);
  for (std::int64_t k = 0; k < size; ++k) {
    const Fit fit = second.fit(k);
    if (!(fit.area() <= smallest * kTie)) continue;
    const double angle = angle_deg(lean(fit.edge).right);
    if (found && !is_preferred(angle, best)) continue;
    found = true;
    best = angle;
    write(fit, rectangle);
  }
}

std::int64_t sets_per_range(RingBatch sets) {
  return kPointsPerRange * std::max<std::int64_t>(sets.size, 1) / (sets.offsets[sets.size] + 1) + 1;
}

}  // namespace

Status convex_hulls(RingBatch sets, HullPoint* sorted, HullPoint* hulls, std::int64_t* lengths,
                    int num_threads) noexcept {
  parallel_for(sets.size, sets_per_range(sets), num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t first = sets.offsets[i];
                   const std::int64_t count = sets.offsets[i + 1] - first;
                   for (std::int64_t k = first; k < first + count; ++k) {
                     sorted[k] = {flushed(sets.points[2 * k]), flushed(sets.points[2 * k + 1])};
                   }
                   lengths[i] = hull_of(sorted + first, count, hulls + first + i);
                 }
               });
  return Status::kOk;
}

Status min_area_rectangles(RingBatch sets, HullPoint* sorted, HullPoint* hulls,
                           std::int64_t* lengths, double* rectangles, int num_threads) noexcept {
  const Status status = convex_hulls(sets, sorted, hulls, lengths, num_threads);
  if (status != Status::kOk) return status;
  parallel_for(sets.size, sets_per_range(sets), num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   rectangle_of(hulls + sets.offsets[i] + i, lengths[i], rectangles + 5 * i);
                 }
               });
  return Status::kOk;
}

}  // namespace geodet
