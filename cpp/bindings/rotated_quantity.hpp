// The number by which Python names what is computed from two rotated boxes.
#pragma once

#include <pybind11/pybind11.h>

#include "geodet/rotated_iou.hpp"

namespace geodet::bindings {

inline RotatedOverlap rotated_quantity(int number) {
  if (number < 0 || number > static_cast<int>(RotatedOverlap::kGiou)) {
    throw pybind11::value_error("quantity: expected 0 (intersection), 1 (IoU) or 2 (GIoU)");
  }
  return static_cast<RotatedOverlap>(number);
}

}  // namespace geodet::bindings
