#include "geodet/roi_align.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "geodet/roi_sampling.hpp"
#include "random.hpp"

namespace {

using geodet::RoiAlignSizes;
using geodet::Status;

std::size_t map_values(const RoiAlignSizes& s) {
  return static_cast<std::size_t>(s.images * s.channels * s.height * s.width);
}

std::size_t cell_values(const RoiAlignSizes& s) {
  return static_cast<std::size_t>(s.rois * s.channels * s.out_height * s.out_width);
}

// Exactly the size asked for, so that the sanitizer sees a write beyond it.
template <typename T>
std::vector<char> scratch_for(const RoiAlignSizes& s) {
  const std::int64_t bytes = geodet::roi_align_scratch_bytes(s, sizeof(T));
  GEODET_EXPECT(bytes >= 0);
  return std::vector<char>(static_cast<std::size_t>(bytes));
}

template <typename T>
std::vector<T> random_values(std::size_t count, std::uint64_t seed) {
  geodet::test::Random random(seed);
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(random.uniform(-1, 1));
  return values;
}

template <typename T>
std::vector<T> random_rois(const RoiAlignSizes& s, std::uint64_t seed) {
  geodet::test::Random random(seed);
  std::vector<T> rois;
  for (std::int64_t r = 0; r < s.rois; ++r) {
    const double x = random.uniform(-10, 40);
    const double y = random.uniform(-10, 40);
    rois.push_back(static_cast<T>(random.below(s.images)));
    for (const double value : {x, y, x + random.uniform(-4, 60), y + random.uniform(-4, 60)}) {
      rois.push_back(static_cast<T>(value));
    }
  }
  return rois;
}

// The definition, sample by sample, for one cell.
template <typename T>
double cell_value(const std::vector<T>& map, const T* roi, const RoiAlignSizes& s,
                  std::int64_t channel, std::int64_t cell_y, std::int64_t cell_x) {
  const T scale = static_cast<T>(s.spatial_scale);
  const auto x = geodet::roi_axis(roi[1], roi[3], scale, s.aligned, s.out_width, s.sampling_ratio);
  const auto y = geodet::roi_axis(roi[2], roi[4], scale, s.aligned, s.out_height, s.sampling_ratio);
  const std::int64_t image = geodet::image_index(roi[0], s.images);
  const T* plane = map.data() + (image * s.channels + channel) * s.height * s.width;
  double sum = 0;
  for (std::int64_t i = 0; i < y.samples; ++i) {
    const T py = geodet::sample_position(y, cell_y, i);
    if (!geodet::is_inside(py, s.height)) continue;
    const auto row = geodet::tap_at(py, s.height);
    for (std::int64_t j = 0; j < x.samples; ++j) {
      const T px = geodet::sample_position(x, cell_x, j);
      if (!geodet::is_inside(px, s.width)) continue;
      const auto column = geodet::tap_at(px, s.width);
      sum += row.low_weight * (column.low_weight * plane[row.low * s.width + column.low] +
                               column.high_weight * plane[row.low * s.width + column.high]) +
             row.high_weight * (column.low_weight * plane[row.high * s.width + column.low] +
                                column.high_weight * plane[row.high * s.width + column.high]);
    }
  }
  const std::int64_t samples = x.samples * y.samples;
  return samples > 0 ? sum / static_cast<double>(samples) : 0;
}

template <typename T>
void check_definition(const RoiAlignSizes& s, double tolerance) {
  const std::vector<T> map = random_values<T>(map_values(s), 1);
  const std::vector<T> rois = random_rois<T>(s, 2);
  std::vector<char> scratch = scratch_for<T>(s);
  std::vector<T> out(cell_values(s), std::numeric_limits<T>::quiet_NaN());
  GEODET_EXPECT(geodet::roi_align(map.data(), rois.data(), s, scratch.data(), out.data(), 2) ==
                Status::kOk);
  double worst = 0;
  std::size_t k = 0;
  for (std::int64_t r = 0; r < s.rois; ++r) {
    for (std::int64_t c = 0; c < s.channels; ++c) {
      for (std::int64_t i = 0; i < s.out_height; ++i) {
        for (std::int64_t j = 0; j < s.out_width; ++j, ++k) {
          const double expected = cell_value(map, rois.data() + 5 * r, s, c, i, j);
          worst = std::fmax(worst, std::fabs(static_cast<double>(out[k]) - expected));
          if (std::isnan(out[k])) worst = INFINITY;
        }
      }
    }
  }
  GEODET_EXPECT(worst <= tolerance);
}

// <roi_align(map), grad> = <map, backward(grad)>: the gradient is the transpose.
template <typename T>
void check_transpose(const RoiAlignSizes& s, double tolerance) {
  const std::vector<T> map = random_values<T>(map_values(s), 3);
  const std::vector<T> grad = random_values<T>(cell_values(s), 4);
  const std::vector<T> rois = random_rois<T>(s, 5);
  std::vector<char> scratch = scratch_for<T>(s);
  std::vector<T> out(cell_values(s));
  std::vector<T> grad_map(map_values(s));
  GEODET_EXPECT(geodet::roi_align(map.data(), rois.data(), s, scratch.data(), out.data(), 2) ==
                Status::kOk);
  GEODET_EXPECT(geodet::roi_align_backward(grad.data(), rois.data(), s, scratch.data(),
                                           grad_map.data(), 2) == Status::kOk);
  double forward = 0;
  double backward = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    forward += static_cast<double>(out[i]) * static_cast<double>(grad[i]);
  }
  for (std::size_t i = 0; i < map.size(); ++i) {
    backward += static_cast<double>(map[i]) * static_cast<double>(grad_map[i]);
  }
  GEODET_EXPECT(std::fabs(forward - backward) <= tolerance);
}

std::vector<RoiAlignSizes> many_sizes() {
  std::vector<RoiAlignSizes> all;
  for (const bool aligned : {true, false}) {
    for (const std::int64_t sampling : {0, 1, 3}) {
      for (const std::int64_t out : {1, 7, 17}) {
        all.push_back({2, 3, 31, 40, 20, out, 20 - out, 1.0, sampling, aligned});
        all.push_back({1, 21, 1, 300, 9, out, 2, 4.0, sampling, aligned});
      }
    }
  }
  return all;
}

}  // namespace

GEODET_TEST(roi_align_equals_its_definition) {
  for (const RoiAlignSizes& sizes : many_sizes()) {
    check_definition<float>(sizes, 2e-5);
    check_definition<double>(sizes, 1e-13);
  }
}

GEODET_TEST(roi_align_backward_is_the_transpose) {
  for (const RoiAlignSizes& sizes : many_sizes()) {
    check_transpose<float>(sizes, 1e-2);
    check_transpose<double>(sizes, 1e-10);
  }
}

GEODET_TEST(roi_align_survives_odd_rois) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values{nan, inf, -inf, 3e38f, -3e38f, 1e30f, -1e9f, 1e9f, 0, 5, -1e-40f};
  std::vector<float> rois;
  for (const float x1 : values) {
    for (const float x2 : values) {
      for (const float y1 : values) {
        for (const float value : {0.0f, x1, y1, x2, 1e9f}) rois.push_back(value);
      }
    }
  }
  for (const std::int64_t sampling : {0, 2}) {
    for (const bool aligned : {true, false}) {
      const RoiAlignSizes s{
          1, 1, 6, 9, static_cast<std::int64_t>(rois.size() / 5), 2, 3, 0.5, sampling, aligned};
      const std::vector<float> map(map_values(s), 1.0f);
      std::vector<char> scratch = scratch_for<float>(s);
      std::vector<float> out(cell_values(s), nan);
      std::vector<float> grad_map(map_values(s));
      GEODET_EXPECT(geodet::roi_align(map.data(), rois.data(), s, scratch.data(), out.data(),
                                      1) == Status::kOk);
      bool bounded = true;  // the mean of ones and zeros
      for (const float value : out) bounded = bounded && value >= 0.0f && value <= 1.0001f;
      GEODET_EXPECT(bounded);
      GEODET_EXPECT(geodet::roi_align_backward(out.data(), rois.data(), s, scratch.data(),
                                               grad_map.data(), 1) == Status::kOk);
    }
  }
}

GEODET_TEST(roi_align_threads_change_no_bit) {
  const RoiAlignSizes s{1, 64, 30, 30, 400, 7, 7, 1.0, 0, true};
  const std::vector<float> map = random_values<float>(map_values(s), 1);
  const std::vector<float> rois = random_rois<float>(s, 2);
  std::vector<char> scratch = scratch_for<float>(s);
  std::vector<float> out[2];
  std::vector<float> grad_map[2];
  for (const int i : {0, 1}) {
    out[i].resize(cell_values(s));
    grad_map[i].resize(map_values(s));
    GEODET_EXPECT(geodet::roi_align(map.data(), rois.data(), s, scratch.data(), out[i].data(),
                                    1 + 3 * i) == Status::kOk);
    GEODET_EXPECT(geodet::roi_align_backward(out[i].data(), rois.data(), s, scratch.data(),
                                             grad_map[i].data(), 1 + 3 * i) == Status::kOk);
  }
  GEODET_EXPECT(out[0] == out[1]);
  GEODET_EXPECT(grad_map[0] == grad_map[1]);
}

GEODET_TEST(roi_align_refuses_wrong_arguments) {
  const RoiAlignSizes good{2, 1, 4, 4, 1, 2, 2, 1.0, 0, true};
  const std::vector<float> map(32);
  std::vector<char> scratch = scratch_for<float>(good);
  std::vector<float> out(4, 9.0f);
  const auto run = [&](const RoiAlignSizes& s, float image) {
    const std::vector<float> rois{image, 0, 0, 1, 1};
    return geodet::roi_align(map.data(), rois.data(), s, scratch.data(), out.data(), 1);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float image : {-1.0f, 2.0f, 0.5f, 1e30f, nan}) {
    GEODET_EXPECT(run(good, image) == Status::kOutOfRange);
  }
  GEODET_EXPECT(out == std::vector<float>(4, 9.0f));  // nothing was written
  RoiAlignSizes bad = good;
  bad.out_width = 0;
  GEODET_EXPECT(run(bad, 0) == Status::kInvalidArgument);
  GEODET_EXPECT(geodet::roi_align_scratch_bytes(bad, 4) == -1);
  bad = good;
  bad.spatial_scale = 0;
  GEODET_EXPECT(run(bad, 0) == Status::kInvalidArgument);
  bad = good;
  bad.sampling_ratio = geodet::kMaxSamplingRatio + 1;
  GEODET_EXPECT(run(bad, 0) == Status::kInvalidArgument);
  GEODET_EXPECT(run(good, 1) == Status::kOk);
}
