// COCO's object keypoint similarity of one pair, in the order of operations of its own tool.
#pragma once

#include <cstdint>
#include <limits>

#include "geodet/exponential.hpp"
#include "geodet/host_device.hpp"

namespace geodet {

// Distance of a coordinate from the interval [low, high].
GEODET_HD GEODET_INLINE double distance_beyond(double value, double low, double high) {
  const double before = low - value;
  const double after = value - high;
  return (before > 0 ? before : 0) + (after > 0 ? after : 0);
}

// Points whose terms are computed together, as vector code on the CPU.
constexpr std::int64_t kSimilarityPoints = 32;

// Mean of exp(-e) over the labelled points of the target. Without labelled points, e is that of the
// distance of every point of the prediction from the target's box grown by its own width and height
// on each side.
//   prediction, target [points, 3]; box: x1, y1, x2, y2; sigmas [points].
GEODET_HD GEODET_INLINE double keypoint_similarity(const double* prediction, const double* target,
                                                   double area, const double* box,
                                                   const double* sigmas, std::int64_t points) {
  std::int64_t labelled = 0;
  for (std::int64_t k = 0; k < points; ++k) labelled += target[3 * k + 2] > 0;
  const double width = box[2] - box[0];
  const double height = box[3] - box[1];
  double sum = 0;
  for (std::int64_t begin = 0; begin < points; begin += kSimilarityPoints) {
    const std::int64_t left = points - begin;
    const std::int64_t count = left < kSimilarityPoints ? left : kSimilarityPoints;
    double terms[kSimilarityPoints];
    for (std::int64_t k = 0; k < count; ++k) {
      const double* p = prediction + 3 * (begin + k);
      const double* t = target + 3 * (begin + k);
      const double beyond_x = distance_beyond(p[0], box[0] - width, box[0] + width * 2);
      const double beyond_y = distance_beyond(p[1], box[1] - height, box[1] + height * 2);
      const double dx = labelled > 0 ? p[0] - t[0] : beyond_x;
      const double dy = labelled > 0 ? p[1] - t[1] : beyond_y;
      const double spread = sigmas[begin + k] * 2;
      const double e = (dx * dx + dy * dy) / (spread * spread) /
                       (area + std::numeric_limits<double>::epsilon()) / 2;
      const bool counts = labelled == 0 || t[2] > 0;
      terms[k] = counts ? -e : -std::numeric_limits<double>::infinity();  // exp of which is 0
    }
    for (std::int64_t k = 0; k < count; ++k) terms[k] = exponential(terms[k]);
    for (std::int64_t k = 0; k < count; ++k) sum += terms[k];
  }
  return sum / static_cast<double>(labelled > 0 ? labelled : points);
}

}  // namespace geodet
