// On which side of a line a point lies, without rounding.
#pragma once

#include <cmath>

#include "geodet/host_device.hpp"

namespace geodet {

// A product as two doubles that add up to it exactly (Dekker 1971).
struct ExactProduct {
  double high, low;
};

GEODET_HD inline ExactProduct exact_product(double a, double b) {
  constexpr double kSplit = 134217729;  // 2^27 + 1
  const double a_high = kSplit * a - (kSplit * a - a);
  const double b_high = kSplit * b - (kSplit * b - b);
  const double a_low = a - a_high;
  const double b_low = b - b_high;
  const double high = a * b;
  const double low = ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low;
  return {high, low};
}

// A sum of doubles that is never rounded: components that do not overlap, smallest first.
class ExactSum {
 public:
  // Shewchuk 1997, figure 6: every component passes its rounding error down.
  GEODET_HD void add(double value) {
    for (int k = 0; k < count_; ++k) {
      const double sum = components_[k] + value;
      const double other = sum - components_[k];
      components_[k] = (components_[k] - (sum - other)) + (value - other);
      value = sum;
    }
    components_[count_++] = value;
  }

  GEODET_HD void add(ExactProduct product) {
    add(product.low);
    add(product.high);
  }

  // The largest component that is not 0 has the sign of the sum.
  GEODET_HD int sign() const {
    for (int k = count_ - 1; k >= 0; --k) {
      if (components_[k] != 0) return components_[k] > 0 ? 1 : -1;
    }
    return 0;
  }

 private:
  double components_[12];
  int count_ = 0;
};

// 1 when a, b, c turn clockwise on the screen (y down), -1 when counter-clockwise, 0 when they lie
// on one line. Exact for coordinates that are 0 or between 1e-100 and 1e100.
GEODET_HD inline int orientation(const double* a, const double* b, const double* c) {
  const double left = (a[0] - c[0]) * (b[1] - c[1]);
  const double right = (a[1] - c[1]) * (b[0] - c[0]);
  const double estimate = left - right;
  // Shewchuk 1997, bound A: (3 + 16 e) e with e = 2^-53.
  const double bound = 3.3306690738754716e-16 * (std::fabs(left) + std::fabs(right));
  if (estimate > bound) return 1;
  if (estimate < -bound) return -1;
  ExactSum sum;  // the determinant multiplied out; c0 c1 cancels
  sum.add(exact_product(a[0], b[1]));
  sum.add(exact_product(-a[0], c[1]));
  sum.add(exact_product(-c[0], b[1]));
  sum.add(exact_product(-a[1], b[0]));
  sum.add(exact_product(a[1], c[0]));
  sum.add(exact_product(c[1], b[0]));
  return sum.sign();
}

}  // namespace geodet
