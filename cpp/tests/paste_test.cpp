#include "geodet/paste.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "check.hpp"
#include "geodet/paste_frame.hpp"
#include "geodet/paste_sampling.hpp"
#include "geodet/rle.hpp"
#include "random.hpp"

namespace {

using geodet::PasteSizes;
using geodet::Status;

std::size_t pixels(const PasteSizes& s) {
  return static_cast<std::size_t>(s.masks * s.height * s.width);
}

std::vector<float> random_probabilities(const PasteSizes& s) {
  geodet::test::Random random(1);
  std::vector<float> values(static_cast<std::size_t>(s.masks * s.mask_height * s.mask_width));
  for (float& value : values) value = static_cast<float>(random.uniform(0, 1));
  return values;
}

std::vector<float> random_boxes(const PasteSizes& s) {
  geodet::test::Random random(2);
  std::vector<float> boxes;
  for (std::int64_t i = 0; i < s.masks; ++i) {
    const double x = random.uniform(-0.3, 1) * static_cast<double>(s.width);
    const double y = random.uniform(-0.3, 1) * static_cast<double>(s.height);
    const double w = random.uniform(-0.05, 1.2) * static_cast<double>(s.width);
    const double h = random.uniform(-0.05, 1.2) * static_cast<double>(s.height);
    for (const double value : {x, y, x + w, y + h}) boxes.push_back(static_cast<float>(value));
  }
  return boxes;
}

// Rotated boxes at all angles, some far larger than the image, some without area.
std::vector<float> random_rotated_boxes(const PasteSizes& s) {
  geodet::test::Random random(3);
  std::vector<float> boxes;
  for (std::int64_t i = 0; i < s.masks; ++i) {
    const double x = random.uniform(-0.3, 1.3) * static_cast<double>(s.width);
    const double y = random.uniform(-0.3, 1.3) * static_cast<double>(s.height);
    const double side = random.uniform(0, 1) < 0.2 ? 5e8 : 1.2;
    const double w = random.uniform(-0.05, side) * static_cast<double>(s.width);
    const double h = random.uniform(-0.05, side) * static_cast<double>(s.height);
    const double angle = i % 4 == 0 ? 90.0 * static_cast<double>(i) : random.uniform(-800, 800);
    for (const double value : {x, y, w, h, angle}) boxes.push_back(static_cast<float>(value));
  }
  return boxes;
}

std::vector<float> pasted(const std::vector<float>& values, const std::vector<float>& boxes,
                          const PasteSizes& s, int threads) {
  std::vector<float> scratch(static_cast<std::size_t>(geodet::paste_scratch_values(s)));
  std::vector<float> out(pixels(s));
  GEODET_EXPECT(geodet::paste_probabilities(values.data(), boxes.data(), s, scratch.data(),
                                            out.data(), threads) == Status::kOk);
  return out;
}

}  // namespace

GEODET_TEST(pasted_pixels_equal_the_shared_maths) {
  for (const PasteSizes& s : {PasteSizes{30, 7, 5, 33, 47}, PasteSizes{20, 1, 1, 9, 600},
                              PasteSizes{5, 60, 300, 20, 20}}) {
    const std::vector<float> values = random_probabilities(s);
    const std::vector<float> boxes = random_boxes(s);
    const std::vector<float> out = pasted(values, boxes, s, 1);
    bool equal = true;
    std::size_t k = 0;
    for (std::int64_t i = 0; i < s.masks; ++i) {
      const float* mask = values.data() + i * s.mask_height * s.mask_width;
      for (std::int64_t y = 0; y < s.height; ++y) {
        for (std::int64_t x = 0; x < s.width; ++x, ++k) {
          equal = equal && out[k] == geodet::pasted_value(mask, boxes.data() + 4 * i, s, y, x);
        }
      }
    }
    GEODET_EXPECT(equal);
  }
}

GEODET_TEST(rotated_pixels_equal_the_shared_maths) {
  for (const PasteSizes& s : {PasteSizes{60, 7, 5, 33, 47, 5}, PasteSizes{20, 1, 1, 9, 600, 5},
                              PasteSizes{5, 60, 300, 20, 20, 5}}) {
    const std::vector<float> values = random_probabilities(s);
    const std::vector<float> boxes = random_rotated_boxes(s);
    const std::vector<float> out = pasted(values, boxes, s, 1);
    bool equal = true;
    std::size_t k = 0;
    for (std::int64_t i = 0; i < s.masks; ++i) {
      const float* mask = values.data() + i * s.mask_height * s.mask_width;
      const float* box = boxes.data() + 5 * i;
      const geodet::PasteFrame frame = geodet::paste_frame(box, s);
      for (std::int64_t y = 0; y < s.height; ++y) {
        for (std::int64_t x = 0; x < s.width; ++x, ++k) {
          const float value = frame.paints ? geodet::framed_value(mask, frame, s, y, x) : 0.0f;
          equal = equal && out[k] == value;
          if (geodet::is_beyond_reach(box, y, x)) equal = equal && value == 0.0f;
        }
      }
    }
    GEODET_EXPECT(equal);
  }
}

GEODET_TEST(pasted_masks_are_pasted_values_at_the_threshold) {
  const PasteSizes s{40, 28, 28, 200, 300};
  const std::vector<float> values = random_probabilities(s);
  const std::vector<float> boxes = random_boxes(s);
  const std::vector<float> soft = pasted(values, boxes, s, 1);
  GEODET_EXPECT(soft == pasted(values, boxes, s, 4));
  std::vector<float> scratch(static_cast<std::size_t>(geodet::paste_scratch_values(s)));
  const auto hard = std::make_unique<bool[]>(pixels(s));
  GEODET_EXPECT(geodet::paste_masks(values.data(), boxes.data(), s, 0.5, scratch.data(),
                                    hard.get(), 4) == Status::kOk);
  bool equal = true;
  for (std::size_t k = 0; k < soft.size(); ++k) equal = equal && hard[k] == (soft[k] >= 0.5f);
  GEODET_EXPECT(equal);
}

// Run lengths of dense masks, by the encoder.
std::vector<std::int32_t> encoded(const bool* masks, const PasteSizes& s) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(masks);
  std::vector<geodet::MaskScan> scans(static_cast<std::size_t>(s.masks));
  GEODET_EXPECT(geodet::rle_encode_scan(bytes, s.masks, s.height, s.width, scans.data(), 1) ==
                Status::kOk);
  std::vector<std::int64_t> offsets{0};
  for (const auto& scan : scans) offsets.push_back(offsets.back() + scan.num_runs);
  std::vector<std::int32_t> counts(static_cast<std::size_t>(offsets.back()));
  GEODET_EXPECT(geodet::rle_encode_fill(bytes, s.masks, s.height, s.width, scans.data(),
                                        offsets.data(), counts.data(), 1) == Status::kOk);
  return counts;
}

GEODET_TEST(pasted_runs_are_those_of_the_dense_masks) {
  for (const PasteSizes& s :
       {PasteSizes{40, 28, 28, 200, 300}, PasteSizes{60, 4, 3, 64, 130}, PasteSizes{9, 5, 5, 1, 1},
        PasteSizes{30, 3, 9, 129, 2}, PasteSizes{0, 2, 2, 5, 5}, PasteSizes{3, 2, 2, 0, 5},
        PasteSizes{40, 28, 28, 200, 300, 5}, PasteSizes{60, 4, 3, 64, 130, 5},
        PasteSizes{30, 3, 9, 129, 2, 5}, PasteSizes{3, 2, 2, 0, 5, 5}}) {
    const bool upright = s.box_columns == 4;
    std::vector<float> values = random_probabilities(s);
    std::vector<float> boxes = upright ? random_boxes(s) : random_rotated_boxes(s);
    // Some masks go on from column to column.
    for (std::int64_t i = 0; upright && i < s.masks; i += 3) {
      boxes[static_cast<std::size_t>(4 * i + 1)] = -50;
      boxes[static_cast<std::size_t>(4 * i + 3)] = static_cast<float>(s.height + (i % 2) * 100);
    }
    std::vector<float> scratch(static_cast<std::size_t>(geodet::paste_scratch_values(s)));
    const auto hard = std::make_unique<bool[]>(pixels(s) + 1);
    GEODET_EXPECT(geodet::paste_masks(values.data(), boxes.data(), s, 0.5, scratch.data(),
                                      hard.get(), 1) == Status::kOk);
    std::vector<geodet::PasteWindow> windows(static_cast<std::size_t>(s.masks));
    const std::int64_t num_words = geodet::paste_runs_plan(boxes.data(), s, windows.data());
    std::vector<std::uint64_t> words(static_cast<std::size_t>(num_words));
    scratch.resize(static_cast<std::size_t>(geodet::paste_runs_scratch_values(s)));
    GEODET_EXPECT(geodet::paste_runs_scan(values.data(), boxes.data(), s, 0.5, windows.data(),
                                          scratch.data(), words.data(), 4) == Status::kOk);
    std::vector<std::int64_t> offsets{0};
    for (const auto& window : windows) offsets.push_back(offsets.back() + window.num_runs);
    std::vector<std::int32_t> counts(static_cast<std::size_t>(offsets.back()));
    GEODET_EXPECT(geodet::paste_runs_fill(windows.data(), s, words.data(), offsets.data(),
                                          counts.data(), 4) == Status::kOk);
    GEODET_EXPECT(counts == encoded(hard.get(), s));
  }
}

GEODET_TEST(images_too_large_for_runs_are_refused) {
  const PasteSizes s{1, 2, 2, std::int64_t{1} << 20, std::int64_t{1} << 20};
  GEODET_EXPECT(geodet::paste_runs_scratch_values(s) == -1);
  GEODET_EXPECT(geodet::paste_runs_fill(nullptr, s, nullptr, nullptr, nullptr, 1) ==
                Status::kInvalidArgument);
}

GEODET_TEST(odd_boxes_are_safe_to_paste) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> odd{nan, inf, -inf, 3e38f, -3e38f, 1e30f, -1e9f, 0, 5, 1e-40f};
  std::vector<float> boxes;
  for (const float x1 : odd) {
    for (const float x2 : odd) {
      for (const float value : {x1, 0.0f, x2, 8.0f}) boxes.push_back(value);
      for (const float value : {0.0f, x1, 8.0f, x2}) boxes.push_back(value);
    }
  }
  const PasteSizes s{static_cast<std::int64_t>(boxes.size() / 4), 3, 3, 8, 8};
  const std::vector<float> ones(static_cast<std::size_t>(9 * s.masks), 1.0f);
  const auto is_share = [](float value) { return value >= 0.0f && value <= 1.0f; };
  const std::vector<float> out = pasted(ones, boxes, s, 1);
  GEODET_EXPECT(std::all_of(out.begin(), out.end(), is_share));
  std::vector<float> turned;
  for (const float value : odd) {
    for (std::int64_t column = 0; column < 5; ++column) {
      for (std::int64_t k = 0; k < 5; ++k) turned.push_back(k == column ? value : 3.0f);
    }
    for (const float other : odd) {
      for (const float number : {value, other, 3e38f, 3e38f, 30.0f}) turned.push_back(number);
      for (const float number : {3.0f, 3.0f, value, other, 30.0f}) turned.push_back(number);
    }
  }
  const PasteSizes r{static_cast<std::int64_t>(turned.size() / 5), 3, 3, 8, 8, 5};
  const std::vector<float> full(static_cast<std::size_t>(9 * r.masks), 1.0f);
  const std::vector<float> image = pasted(full, turned, r, 1);
  GEODET_EXPECT(std::all_of(image.begin(), image.end(), is_share));
}

GEODET_TEST(paste_refuses_wrong_arguments) {
  const PasteSizes good{1, 2, 2, 4, 4};
  const std::vector<float> values(4, 1.0f);
  const std::vector<float> boxes{0, 0, 4, 4};
  std::vector<float> scratch(static_cast<std::size_t>(geodet::paste_scratch_values(good)));
  bool out[16] = {};
  const auto run = [&](const PasteSizes& s, double threshold) {
    return geodet::paste_masks(values.data(), boxes.data(), s, threshold, scratch.data(), out, 1);
  };
  GEODET_EXPECT(run(good, 0.0) == Status::kInvalidArgument);
  GEODET_EXPECT(run(good, std::numeric_limits<double>::quiet_NaN()) == Status::kInvalidArgument);
  for (const PasteSizes& bad : {PasteSizes{-1, 2, 2, 4, 4}, PasteSizes{1, 0, 2, 4, 4},
                                PasteSizes{1, 2, 2, -4, 4}, PasteSizes{1, 2, 2, 4, 4, 6}}) {
    GEODET_EXPECT(run(bad, 0.5) == Status::kInvalidArgument);
    GEODET_EXPECT(geodet::paste_scratch_values(bad) == -1);
  }
  GEODET_EXPECT(run(good, 0.5) == Status::kOk);
  GEODET_EXPECT(std::all_of(out, out + 16, [](bool value) { return value; }));
}
