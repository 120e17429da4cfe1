// Sine and cosine of angles in degrees, the same bits on every device.
//
// The C library, its vector versions and the GPU differ in the last bit; these do not, and they are
// exact at multiples of 90 degrees.
#pragma once

#include <cmath>

#include "geodet/host_device.hpp"

namespace geodet {

struct SinCos {
  double sin, cos;
};

// For |degrees| <= 45, to within an ulp: the Taylor series of sin and cos, whose coefficients are
// (pi / 180)^n / n! and whose first omitted terms are below 1e-19. Without branches.
GEODET_HD GEODET_INLINE SinCos sin_cos_to_45(double degrees) {
  // pi / 180 and what its double leaves over: one rounding less in the largest term.
  constexpr double kFirst = 0.017453292519943295;
  constexpr double kFirstRest = 2.9486522708701687e-19;
  const double square = degrees * degrees;
  double sin_rest = 3.637866301611077e-45;
  sin_rest = sin_rest * square - 3.248335681954942e-39;
  sin_rest = sin_rest * square + 2.2393679707751967e-33;
  sin_rest = sin_rest * square - 1.1468201775379016e-27;
  sin_rest = sin_rest * square + 4.1412674172573206e-22;
  sin_rest = sin_rest * square - 9.788384861617728e-17;
  sin_rest = sin_rest * square + 1.349601623163255e-11;
  sin_rest = sin_rest * square - 8.86096155701298e-07;
  sin_rest = sin_rest * square + kFirstRest;
  double cos_rest = -3.5273747061368e-48;
  cos_rest = cos_rest * square + 3.5433845537580686e-42;
  cos_rest = cos_rest * square - 2.7917388752665238e-36;
  cos_rest = cos_rest * square + 1.667982335528525e-30;
  cos_rest = cos_rest * square - 7.227875163670209e-25;
  cos_rest = cos_rest * square + 2.135494303594986e-19;
  cos_rest = cos_rest * square - 3.925831985743095e-14;
  cos_rest = cos_rest * square + 3.866323851562994e-09;
  cos_rest = cos_rest * square - 0.0001523087098933543;
  return {degrees * kFirst + degrees * sin_rest, 1.0 + square * cos_rest};
}

// Sine and cosine of any finite angle, up to a common sign: as a region, a box repeats every 180
// degrees. `reduced` is in [-90, 90] and differs from the angle by a multiple of 180, exactly.
GEODET_HD inline SinCos half_turn_sin_cos(double degrees, double* reduced) {
  const double angle = std::remainder(degrees, 180.0);
  *reduced = angle;
  if (angle > 45.0) {
    const SinCos turned = sin_cos_to_45(angle - 90.0);
    return {turned.cos, -turned.sin};
  }
  if (angle < -45.0) {
    const SinCos turned = sin_cos_to_45(angle + 90.0);
    return {-turned.cos, turned.sin};
  }
  return sin_cos_to_45(angle);
}

// Sine and cosine of any finite angle, their signs included: as a direction, an angle repeats every
// 360 degrees.
GEODET_HD inline SinCos full_turn_sin_cos(double degrees) {
  const double angle = std::remainder(degrees, 360.0);
  double reduced;
  const SinCos turn = half_turn_sin_cos(angle, &reduced);
  const bool flipped = std::fabs(angle) > 90.0;  // half a turn away from `reduced`
  return flipped ? SinCos{-turn.sin, -turn.cos} : turn;
}

}  // namespace geodet
