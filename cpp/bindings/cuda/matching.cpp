#include "geodet/matching.hpp"

#include "cuda_arrays.hpp"
#include "families.hpp"
#include "status_error.hpp"

namespace geodet::bindings {
namespace {

void match(const py::object& similarities, const py::object& pred_offsets,
           const py::object& target_offsets, const py::object& block_offsets,
           const py::object& ignored, const py::object& crowd, const py::object& thresholds,
           const py::object& taken, const py::object& out, std::uintptr_t stream) {
  const DeviceArray values(similarities, "similarities");
  const DeviceArray preds(pred_offsets, "pred_offsets");
  const DeviceArray targets(target_offsets, "target_offsets");
  const DeviceArray blocks(block_offsets, "block_offsets");
  const DeviceArray ignored_array(ignored, "ignored");
  const DeviceArray crowd_array(crowd, "crowd");
  const DeviceArray limits(thresholds, "thresholds");
  const DeviceArray taken_array(taken, "taken");
  const DeviceArray matches(out, "out");
  const MatchInput input{values.data<const double>(1),       preds.data<const std::int64_t>(1),
                         targets.data<const std::int64_t>(1), ignored_array.data<const bool>(2),
                         crowd_array.data<const bool>(1),     limits.data<const double>(1)};
  std::int64_t* matches_data = matches.data<std::int64_t>(3);
  const MatchSizes sizes{preds.size(0) - 1, matches.size(2),       crowd_array.size(0),
                         values.size(0),    ignored_array.size(0), limits.size(0)};
  targets.expect(0, preds.size(0));
  blocks.expect(0, sizes.groups);
  ignored_array.expect(1, sizes.targets);
  matches.expect(0, sizes.settings);
  matches.expect(1, sizes.thresholds);
  bool* taken_data = taken_array.data<bool>(1);
  taken_array.expect(0, sizes.settings * sizes.thresholds * sizes.targets);
  raise_unless_ok(cuda::match_greedily(input, sizes, blocks.data<const std::int64_t>(1),
                                       taken_data, matches_data,
                                       reinterpret_cast<void*>(stream)));
}

}  // namespace

void bind_matching(py::module_& module) {
  module.def("match_greedily", &match, py::arg("similarities"), py::arg("pred_offsets"),
             py::arg("target_offsets"), py::arg("block_offsets"), py::arg("ignored"),
             py::arg("crowd"), py::arg("thresholds"), py::arg("taken"), py::arg("out"),
             py::arg("stream"));
}

}  // namespace geodet::bindings
