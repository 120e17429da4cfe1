// Checked views of device arrays that offer __cuda_array_interface__, as torch tensors do.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <type_traits>

namespace geodet::bindings {

namespace py = pybind11;

template <typename T>
const char* type_string() {
  if constexpr (std::is_same_v<T, float>) return "<f4";
  if constexpr (std::is_same_v<T, double>) return "<f8";
  if constexpr (std::is_same_v<T, std::int64_t>) return "<i8";
  if constexpr (std::is_same_v<T, std::int32_t>) return "<i4";
  if constexpr (std::is_same_v<T, std::uint8_t>) return "|u1";
  if constexpr (std::is_same_v<T, bool>) return "|b1";
}

// A contiguous array in device memory.
class DeviceArray {
 public:
  DeviceArray(const py::object& object, const char* name) : name_(name) {
    const py::dict interface = object.attr("__cuda_array_interface__");
    if (interface.contains("strides") && !interface["strides"].is_none()) {
      throw py::value_error(name_ + ": expected a C-contiguous array");
    }
    shape_ = interface["shape"].cast<py::tuple>();
    type_ = interface["typestr"].cast<std::string>();
    address_ = interface["data"].cast<py::tuple>()[0].cast<std::uintptr_t>();
  }

  bool holds(const char* type) const { return type_ == type; }

  std::int64_t size(int dimension) const {
    return shape_[static_cast<std::size_t>(dimension)].cast<std::int64_t>();
  }

  // Pointer to T data of the given rank.
  template <typename T>
  T* data(int rank) const {
    if (!holds(type_string<std::remove_const_t<T>>())) {
      throw py::type_error(name_ + ": expected type " + type_string<std::remove_const_t<T>>() +
                           ", got " + type_);
    }
    if (shape_.size() != static_cast<std::size_t>(rank)) {
      throw py::value_error(name_ + ": expected rank " + std::to_string(rank) + ", got " +
                            std::to_string(shape_.size()));
    }
    return reinterpret_cast<T*>(address_);
  }

  // Size of one dimension, checked against what the other arguments imply.
  std::int64_t expect(int dimension, std::int64_t expected) const {
    if (size(dimension) != expected) {
      throw py::value_error(name_ + ": expected size " + std::to_string(expected) +
                            " in dimension " + std::to_string(dimension) + ", got " +
                            std::to_string(size(dimension)));
    }
    return expected;
  }

 private:
  std::string name_;
  py::tuple shape_;
  std::string type_;
  std::uintptr_t address_ = 0;
};

}  // namespace geodet::bindings
