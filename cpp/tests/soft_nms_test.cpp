#include "geodet/soft_nms.hpp"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "geodet/box_fusion.hpp"
#include "geodet/rect.hpp"
#include "random.hpp"

namespace {

using geodet::Rect;
using geodet::SoftNmsSettings;
using geodet::Status;

struct Problem {
  std::vector<double> boxes, scores;
  std::vector<std::int64_t> groups;

  std::int64_t count() const { return static_cast<std::int64_t>(scores.size()); }

  Rect<double> box(std::size_t i) const {
    return {boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]};
  }
};

Problem random_problem(std::int64_t n, std::uint64_t seed) {
  geodet::test::Random random(seed);
  Problem p;
  for (std::int64_t i = 0; i < n; ++i) {
    const double x = random.uniform(0, 60);
    const double y = random.uniform(0, 60);
    for (const double value : {x, y, x + random.uniform(0, 20), y + random.uniform(0, 20)}) {
      p.boxes.push_back(value);
    }
    p.scores.push_back(random.uniform(0, 1));
    p.groups.push_back(random.below(3) - 1);
  }
  return p;
}

std::vector<double> decayed_slowly(const Problem& p, const SoftNmsSettings& s) {
  const double gone = -std::numeric_limits<double>::infinity();
  std::vector<double> left = p.scores;
  std::vector<double> decayed(left.size(), gone);
  for (;;) {
    std::size_t best = left.size();
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (left[i] > s.min_score && (best == left.size() || left[i] > left[best])) best = i;
    }
    if (best == left.size()) return decayed;
    decayed[best] = left[best];
    left[best] = gone;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (left[i] == gone || p.groups[i] != p.groups[best]) continue;
      const double iou = geodet::rect_iou(p.box(best), p.box(i));
      if (s.gaussian) {
        left[i] *= std::exp(-iou * iou / s.sigma);
      } else if (iou > s.iou_threshold) {
        left[i] *= 1 - iou;
      }
      if (!(left[i] > s.min_score)) left[i] = gone;
    }
  }
}

}  // namespace

GEODET_TEST(soft_nms_equals_its_definition) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const Problem p = random_problem(static_cast<std::int64_t>(31 * seed), seed);
    for (const bool gaussian : {false, true}) {
      const SoftNmsSettings settings{gaussian, 0.3, 0.5, 0.05};
      const std::int64_t n = p.count();
      const std::int64_t bytes = geodet::soft_nms_scratch_bytes(n, sizeof(double));
      std::vector<std::int64_t> scratch(static_cast<std::size_t>((bytes + 7) / 8));
      std::vector<double> decayed(p.scores.size());
      std::vector<std::int64_t> kept(p.scores.size());
      std::int64_t num_kept = -1;
      GEODET_EXPECT(geodet::soft_nms(p.boxes.data(), p.scores.data(), n, p.groups.data(), settings,
                                     scratch.data(), decayed.data(), kept.data(),
                                     &num_kept) == Status::kOk);
      const std::vector<double> expected = decayed_slowly(p, settings);
      std::int64_t expected_kept = 0;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const bool is_kept = std::isfinite(expected[i]);
        expected_kept += is_kept ? 1 : 0;
        GEODET_EXPECT(is_kept ? std::fabs(decayed[i] - expected[i]) < 1e-12
                              : decayed[i] == expected[i]);
      }
      GEODET_EXPECT(num_kept == expected_kept);
    }
  }
}

GEODET_TEST(soft_nms_refuses_wrong_settings) {
  const Problem p = random_problem(3, 0);
  std::vector<std::int64_t> scratch(1024), kept(3);
  std::vector<double> decayed(3);
  std::int64_t num_kept = 0;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const SoftNmsSettings& settings :
       {SoftNmsSettings{true, 0.3, 0.0, 0.1}, SoftNmsSettings{true, 0.3, nan, 0.1},
        SoftNmsSettings{false, nan, 0.5, 0.1}, SoftNmsSettings{false, 0.3, 0.5, -1.0}}) {
    GEODET_EXPECT(geodet::soft_nms(p.boxes.data(), p.scores.data(), 3, nullptr, settings,
                                   scratch.data(), decayed.data(), kept.data(),
                                   &num_kept) == Status::kInvalidArgument);
  }
}

GEODET_TEST(fused_boxes_stay_inside_their_arrays) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Problem p = random_problem(static_cast<std::int64_t>(20 * seed), seed);
    const std::int64_t n = p.count();
    std::vector<std::int64_t> order(p.scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::vector<std::int64_t> scratch(
        static_cast<std::size_t>(geodet::box_fusion_scratch_bytes(n) / 8 + 1));
    std::vector<double> boxes(4 * p.scores.size()), scores(p.scores.size());
    std::vector<std::int64_t> labels(p.scores.size());
    std::int64_t count = -1;
    const geodet::FusionSettings settings{0.5, geodet::FusedScore::kCapped, 2, 2.0, 1.0};
    const auto run = [&] {
      return geodet::fuse_boxes(p.boxes.data(), p.scores.data(), p.groups.data(), n, order.data(),
                                settings, scratch.data(), boxes.data(), scores.data(),
                                labels.data(), &count);
    };
    GEODET_EXPECT(run() == Status::kOk);
    GEODET_EXPECT(count >= 0 && count <= n);
    double before = 0;
    double after = 0;
    for (const double score : p.scores) before = std::fmax(before, score);
    for (std::int64_t k = 0; k < count; ++k) {
      after = std::fmax(after, scores[static_cast<std::size_t>(k)]);
    }
    GEODET_EXPECT(after <= before);
    if (n == 0) continue;
    order.back() = n;
    GEODET_EXPECT(run() == Status::kOutOfRange);
  }
}
