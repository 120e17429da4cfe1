// A threshold given as double, compared with values of a narrower type.
#pragma once

#include <cmath>
#include <limits>

namespace geodet {

// The largest T that is not above `threshold`: for every T value v, v > threshold in exact
// arithmetic is v > round_down<T>(threshold).
template <typename T>
inline T round_down(double threshold) {
  const T nearest = static_cast<T>(threshold);
  if (static_cast<double>(nearest) > threshold) {
    return std::nextafter(nearest, -std::numeric_limits<T>::infinity());
  }
  return nearest;
}

}  // namespace geodet
