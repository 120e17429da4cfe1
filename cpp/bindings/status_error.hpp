// Turns a kernel's Status into a Python error.
#pragma once

#include <pybind11/pybind11.h>

#include "geodet/status.hpp"

namespace geodet::bindings {

inline void raise_unless_ok(Status status) {
  switch (status) {
    case Status::kOk:
      return;
    case Status::kInvalidArgument:
      throw pybind11::value_error("invalid argument");
    case Status::kInvalidValue:
      throw pybind11::value_error("invalid value");
    case Status::kOutOfRange:
      throw pybind11::index_error("an index points outside its array");
    case Status::kTooSmall:
      throw pybind11::value_error("an output or scratch array is too small");
    case Status::kCudaError:
      throw pybind11::value_error("the CUDA runtime refused the launch");
  }
}

}  // namespace geodet::bindings
