#include "geodet/roi_align_rotated.hpp"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "check.hpp"
#include "geodet/rotated_roi.hpp"
#include "random.hpp"

namespace {

using geodet::RoiAlignSizes;
using geodet::Status;

struct Problem {
  RoiAlignSizes sizes;
  std::vector<double> features;  // channels first
  std::vector<double> rois;

  std::int64_t num_cells() const { return sizes.out_height * sizes.out_width; }
};

Problem random_problem(std::int64_t channels, std::int64_t rois, std::uint64_t seed) {
  geodet::test::Random random(seed);
  Problem p;
  p.sizes = {2, channels, 9 + random.below(9), 5 + random.below(12), rois, 3, 1 + random.below(11),
             0.5, random.below(3), true};
  for (std::int64_t i = 0; i < 2 * channels * p.sizes.height * p.sizes.width; ++i) {
    p.features.push_back(random.uniform(-1, 1));
  }
  for (std::int64_t r = 0; r < rois; ++r) {
    p.rois.push_back(static_cast<double>(random.below(2)));
    for (int k = 0; k < 2; ++k) p.rois.push_back(random.uniform(-5, 40));
    for (int k = 0; k < 2; ++k) p.rois.push_back(std::exp(random.uniform(-3, 5)));
    p.rois.push_back(random.uniform(-400, 400));
  }
  return p;
}

std::vector<double> turned_round(const std::vector<double>& map, const RoiAlignSizes& s) {
  std::vector<double> last(map.size());
  const std::int64_t pixels = s.height * s.width;
  for (std::int64_t i = 0; i < s.images; ++i) {
    for (std::int64_t c = 0; c < s.channels; ++c) {
      for (std::int64_t k = 0; k < pixels; ++k) {
        last[static_cast<std::size_t>((i * pixels + k) * s.channels + c)] =
            map[static_cast<std::size_t>((i * s.channels + c) * pixels + k)];
      }
    }
  }
  return last;
}

std::vector<std::int64_t> scratch_for(const Problem& p, int threads) {
  const std::int64_t bytes =
      geodet::roi_align_rotated_scratch_bytes(p.rois.data(), p.sizes, threads);
  GEODET_EXPECT(bytes >= 0);
  return std::vector<std::int64_t>(static_cast<std::size_t>((bytes + 7) / 8));
}

std::vector<double> pooled(const Problem& p, int threads) {
  std::vector<std::int64_t> scratch = scratch_for(p, threads);
  std::vector<double> out(
      static_cast<std::size_t>(p.sizes.rois * p.sizes.channels * p.num_cells()), -7.0);
  GEODET_EXPECT(geodet::roi_align_rotated(p.features.data(), p.rois.data(), p.sizes,
                                          scratch.data(), out.data(), threads) == Status::kOk);
  return out;
}

// Sample by sample, as the CUDA kernel does.
std::vector<double> pooled_slowly(const Problem& p) {
  const RoiAlignSizes& s = p.sizes;
  std::vector<double> out;
  for (std::int64_t r = 0; r < s.rois; ++r) {
    const double* values = p.rois.data() + 6 * r;
    const auto roi = geodet::rotated_roi(values, s.spatial_scale, s.out_width, s.out_height,
                                         s.sampling_ratio);
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const double* plane = p.features.data() +
                            (static_cast<std::int64_t>(values[0]) * s.channels + c) * s.height *
                                s.width;
      for (std::int64_t cell = 0; cell < p.num_cells(); ++cell) {
        double sum = 0;
        if (roi.u.samples > 0) {
          geodet::visit_rotated_samples(
              roi, cell / s.out_width, cell % s.out_width, geodet::MapSize{s.height, s.width},
              [&](const geodet::Tap<double>& row, const geodet::Tap<double>& column) {
                for (const auto& [y, wy] : {std::pair(row.low, row.low_weight),
                                            std::pair(row.high, row.high_weight)}) {
                  for (const auto& [x, wx] : {std::pair(column.low, column.low_weight),
                                              std::pair(column.high, column.high_weight)}) {
                    sum += wy * wx * plane[y * s.width + x];
                  }
                }
              });
          sum /= static_cast<double>(roi.u.samples) * static_cast<double>(roi.v.samples);
        }
        out.push_back(sum);
      }
    }
  }
  return out;
}

bool close(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::fabs(a[i] - b[i]) <= 1e-11)) return false;
  }
  return true;
}

}  // namespace

GEODET_TEST(rotated_roi_align_equals_the_maths_that_cuda_runs) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    for (const std::int64_t channels : {1, 7, 8, 33, 67}) {
      // Few rois are read as the map lies, many turn it round.
      for (const std::int64_t rois : {1, 40}) {
        Problem p = random_problem(channels, rois, seed);
        const std::vector<double> expected = pooled_slowly(p);
        GEODET_EXPECT(close(pooled(p, 1), expected));
        p.features = turned_round(p.features, p.sizes);
        p.sizes.channels_last = true;
        GEODET_EXPECT(close(pooled(p, 2), expected));
      }
    }
  }
}

GEODET_TEST(rotated_roi_align_backward_is_the_transpose) {
  geodet::test::Random random(5);
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    for (const bool channels_last : {false, true}) {
      for (const std::int64_t channels : {3, 16, 35}) {
        Problem p = random_problem(channels, 25, seed);
        p.sizes.channels_last = channels_last;
        std::vector<std::int64_t> scratch = scratch_for(p, 2);
        std::vector<double> grad(static_cast<std::size_t>(25 * channels * p.num_cells()));
        for (double& value : grad) value = random.uniform(-1, 1);
        std::vector<double> grad_features(p.features.size());
        GEODET_EXPECT(geodet::roi_align_rotated_backward(grad.data(), p.rois.data(), p.sizes,
                                                         scratch.data(), grad_features.data(),
                                                         2) == Status::kOk);
        const std::vector<double> out = pooled(p, 1);
        double one_way = 0;
        double other_way = 0;
        for (std::size_t i = 0; i < out.size(); ++i) one_way += out[i] * grad[i];
        for (std::size_t i = 0; i < p.features.size(); ++i) {
          other_way += p.features[i] * grad_features[i];
        }
        GEODET_EXPECT(std::fabs(one_way - other_way) < 1e-9);
      }
    }
  }
}

GEODET_TEST(rotated_roi_align_survives_odd_rois) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> odd{nan, inf, -inf, 0.0, -0.0, 1e30, -1e30, 1e7, -1e7,
                                16777216.0, 1e-30, 90.0, -1.0, 3.0};
  geodet::test::Random random(3);
  for (const std::int64_t sampling_ratio : {std::int64_t{0}, std::int64_t{2}}) {
    Problem p = random_problem(9, 300, 1);
    p.sizes.sampling_ratio = sampling_ratio;
    for (std::size_t k = 0; k < p.rois.size(); ++k) {
      const bool is_image = k % 6 == 0;
      if (!is_image && random.below(2) == 0) {
        p.rois[k] = odd[static_cast<std::size_t>(random.below(14))];
      }
    }
    for (const double value : pooled(p, 1)) GEODET_EXPECT(std::fabs(value) <= 1 + 1e-9);
    const std::vector<float> rois(p.rois.begin(), p.rois.end());
    const std::vector<float> features(p.features.begin(), p.features.end());
    const std::int64_t bytes =
        geodet::roi_align_rotated_scratch_bytes(rois.data(), p.sizes, 1);
    std::vector<std::int64_t> scratch(static_cast<std::size_t>((bytes + 7) / 8));
    std::vector<float> out(static_cast<std::size_t>(300 * 9 * p.num_cells()));
    GEODET_EXPECT(geodet::roi_align_rotated(features.data(), rois.data(), p.sizes, scratch.data(),
                                            out.data(), 1) == Status::kOk);
    for (const float value : out) GEODET_EXPECT(std::fabs(value) <= 1 + 1e-4f);
  }
}

GEODET_TEST(rotated_roi_align_refuses_wrong_arguments) {
  Problem p = random_problem(2, 3, 0);
  std::vector<std::int64_t> scratch = scratch_for(p, 1);
  std::vector<double> out(static_cast<std::size_t>(3 * 2 * p.num_cells()));
  const auto run = [&](const RoiAlignSizes& sizes) {
    return geodet::roi_align_rotated(p.features.data(), p.rois.data(), sizes, scratch.data(),
                                     out.data(), 1);
  };
  RoiAlignSizes wrong = p.sizes;
  wrong.out_width = 0;
  GEODET_EXPECT(run(wrong) == Status::kInvalidArgument);
  GEODET_EXPECT(geodet::roi_align_rotated_scratch_bytes(p.rois.data(), wrong, 1) == -1);
  wrong = p.sizes;
  wrong.spatial_scale = std::numeric_limits<double>::quiet_NaN();
  GEODET_EXPECT(run(wrong) == Status::kInvalidArgument);
  wrong = p.sizes;
  wrong.height = wrong.width = std::int64_t{1} << 16;
  GEODET_EXPECT(run(wrong) == Status::kInvalidArgument);
  p.rois[6] = 2.0;
  GEODET_EXPECT(run(p.sizes) == Status::kOutOfRange);
}
