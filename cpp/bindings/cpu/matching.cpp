#include "geodet/matching.hpp"

#include <vector>

#include "arrays.hpp"
#include "families.hpp"

namespace geodet::bindings {
namespace {

void match(const py::array& similarities, const py::array& pred_offsets,
           const py::array& target_offsets, const py::array& ignored, const py::array& crowd,
           const py::array& thresholds, py::array& out, int num_threads) {
  const MatchInput input{read<double>(similarities, 1, "similarities"),
                         read<std::int64_t>(pred_offsets, 1, "pred_offsets"),
                         read<std::int64_t>(target_offsets, 1, "target_offsets"),
                         read<bool>(ignored, 2, "ignored"),
                         read<bool>(crowd, 1, "crowd"),
                         read<double>(thresholds, 1, "thresholds")};
  std::int64_t* matches = write<std::int64_t>(out, 3, "out");
  const MatchSizes sizes{pred_offsets.shape(0) - 1, out.shape(2),     crowd.shape(0),
                         similarities.shape(0),     ignored.shape(0), thresholds.shape(0)};
  size(target_offsets, 0, pred_offsets.shape(0), "target_offsets");
  size(ignored, 1, sizes.targets, "ignored");
  size(out, 0, sizes.settings, "out");
  size(out, 1, sizes.thresholds, "out");
  const std::int64_t bytes = match_scratch_bytes(sizes);
  if (bytes < 0) throw py::value_error("pred_offsets: expected at least one number");
  // Words: the scratch wants their alignment.
  std::vector<std::int64_t> scratch(static_cast<std::size_t>(bytes) / 8 + 1);
  Status status;
  {
    py::gil_scoped_release release;
    status = match_greedily(input, sizes, scratch.data(), matches, num_threads);
  }
  raise_unless_ok(status);
}

}  // namespace

void bind_matching(py::module_& module) {
  module.def("match_greedily", &match, py::arg("similarities"), py::arg("pred_offsets"),
             py::arg("target_offsets"), py::arg("ignored"), py::arg("crowd"),
             py::arg("thresholds"), py::arg("out"), py::arg("num_threads"));
}

}  // namespace geodet::bindings
