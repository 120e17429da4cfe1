// Values that break an invariant become geodet's own error, with a message that says where.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace geodet::bindings {

[[noreturn]] inline void raise_invalid_value(const std::string& message) {
  const auto type = pybind11::module_::import("geodet.errors").attr("InvalidValueError");
  PyErr_SetString(type.ptr(), message.c_str());
  throw pybind11::error_already_set();
}

}  // namespace geodet::bindings
