// Checked views of NumPy arrays: a wrong call is a Python error before any memory is touched.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "status_error.hpp"

namespace geodet::bindings {

namespace py = pybind11;

// Pointer to the data of `array` when it is C-contiguous, of dtype T and rank `rank`.
template <typename T>
const T* read(const py::array& array, int rank, const char* name) {
  if (!py::dtype::of<T>().is(array.dtype()) && !array.dtype().equal(py::dtype::of<T>())) {
    throw py::type_error(std::string(name) + ": expected dtype " +
                         std::string(py::str(py::dtype::of<T>())) + ", got " +
                         std::string(py::str(array.dtype())));
  }
  if (array.ndim() != rank) {
    throw py::value_error(std::string(name) + ": expected rank " + std::to_string(rank) +
                          ", got " + std::to_string(array.ndim()));
  }
  if ((array.flags() & py::array::c_style) == 0) {
    throw py::value_error(std::string(name) + ": expected a C-contiguous array");
  }
  return static_cast<const T*>(array.data());
}

// The same for an array that will be written.
template <typename T>
T* write(py::array& array, int rank, const char* name) {
  (void)read<T>(array, rank, name);
  return static_cast<T*>(array.mutable_data());  // raises when the array is read-only
}

// Size of one dimension, checked against what the other arguments imply.
inline std::int64_t size(const py::array& array, int dimension, std::int64_t expected,
                         const char* name) {
  if (array.shape(dimension) != expected) {
    throw py::value_error(std::string(name) + ": expected size " + std::to_string(expected) +
                          " in dimension " + std::to_string(dimension) + ", got " +
                          std::to_string(array.shape(dimension)));
  }
  return expected;
}

}  // namespace geodet::bindings
