// Sound batches of run lengths, canonical or not: pieces, outlines, turns, dilation, erosion,
// complement and padding, each in memory of exactly the promised size.
#include <cstddef>
#include <cstdint>

#include "exercise_runs.hpp"
#include "fuzz_input.hpp"
#include "geodet/rle_morphology.hpp"
#include "geodet/rle_shapes.hpp"

namespace {

using namespace geodet;
using fuzz::OwnedRuns;
using fuzz::room;

std::vector<std::int64_t> sums(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int64_t> offsets{0};
  for (const std::int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

// The masks whose runs begin at slots + begins[i].
OwnedRuns gathered(const std::vector<std::int32_t>& slots, const std::vector<std::int64_t>& begins,
                   const std::vector<std::int64_t>& lengths) {
  OwnedRuns result;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto begin = slots.begin() + begins[i];
    result.counts.insert(result.counts.end(), begin, begin + lengths[i]);
    result.offsets.push_back(result.offsets.back() + lengths[i]);
  }
  return result;
}

void require_sound(const OwnedRuns& masks, std::int64_t num_pixels) {
  const auto num_counts = static_cast<std::int64_t>(masks.counts.size());
  GEODET_FUZZ_REQUIRE(rle_check(masks.batch(), num_counts, num_pixels).fault == RleFault::kNone);
}

std::vector<std::int64_t> areas_of(const OwnedRuns& masks) {
  auto areas = room<std::int64_t>(masks.batch().size);
  rle_area(masks.batch(), areas.data());
  return areas;
}

struct Shapes {
  Shapes(const OwnedRuns& masks, std::int64_t height, Connectivity connectivity) {
    auto sizes = room<std::int64_t>(masks.batch().size);
    rle_count_segments(masks.batch(), height, sizes.data());
    offsets = sums(sizes);
    segments = room<ColumnSegment>(offsets.back());
    rle_list_segments(masks.batch(), height, offsets.data(), segments.data(), 1);
    labels = room<std::int32_t>(offsets.back());
    auto numbers = room<std::int64_t>(masks.batch().size);
    GEODET_FUZZ_REQUIRE(label_segments(view(), connectivity, labels.data(), numbers.data(), 1) ==
                        Status::kOk);
    components = sums(numbers);
  }

  SegmentBatch view() const {
    return {segments.data(), offsets.data(), static_cast<std::int64_t>(offsets.size()) - 1};
  }

  std::vector<std::int64_t> offsets, components;
  std::vector<ColumnSegment> segments;
  std::vector<std::int32_t> labels;
};

void split(const OwnedRuns& masks, std::int64_t height, std::int64_t width,
           Connectivity connectivity) {
  const Shapes shapes(masks, height, connectivity);
  const std::int64_t total = shapes.components.back();
  auto sizes = room<std::int64_t>(total);
  count_component_segments(shapes.view(), shapes.labels.data(), shapes.components.data(),
                           sizes.data());
  for (std::int64_t& size : sizes) size = 2 * size + 1;
  const auto slot_offsets = sums(sizes);
  auto slots = room<std::int32_t>(slot_offsets.back());
  auto ends = room<std::int64_t>(total);
  auto lengths = room<std::int64_t>(total);
  write_components(shapes.view(), shapes.labels.data(), shapes.components.data(), height,
                   height * width, slot_offsets.data(), slots.data(), ends.data(), lengths.data(),
                   1);
  const OwnedRuns pieces = gathered(slots, slot_offsets, lengths);
  require_sound(pieces, height * width);
  const auto areas = areas_of(pieces);
  const auto whole = areas_of(masks);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::int64_t sum = 0;
    for (std::int64_t c = shapes.components[i]; c < shapes.components[i + 1]; ++c) {
      GEODET_FUZZ_REQUIRE(areas[static_cast<std::size_t>(c)] > 0);
      sum += areas[static_cast<std::size_t>(c)];
    }
    GEODET_FUZZ_REQUIRE(sum == whole[i]);
  }
}

void outline(const OwnedRuns& masks, std::int64_t height) {
  const Shapes shapes(masks, height, Connectivity::kSides);
  const std::int64_t n = masks.batch().size;
  auto numbers = room<std::int64_t>(n);
  count_corners(shapes.view(), numbers.data(), 1);
  const auto corner_offsets = sums(numbers);
  auto corners = room<Corner>(corner_offsets.back());
  auto rings = room<Ring>(corner_offsets.back() / 4);
  auto open_rows = room<std::int64_t>(n * (height + 1));
  auto num_rings = room<std::int64_t>(n);
  trace_rings(shapes.view(), shapes.labels.data(), height, corner_offsets.data(), corners.data(),
              open_rows.data(), rings.data(), num_rings.data(), 1);
  const std::int64_t all = sums(num_rings).back();
  auto ring_offsets = room<std::int64_t>(all + 1);
  auto part_offsets = room<std::int64_t>(shapes.components.back() + 1);
  auto next = room<std::int64_t>(shapes.components.back());
  place_rings(n, corner_offsets.data(), rings.data(), num_rings.data(), shapes.components.data(),
              ring_offsets.data(), part_offsets.data(), next.data());
  GEODET_FUZZ_REQUIRE(ring_offsets.back() == corner_offsets.back());
  auto points = room<double>(2 * corner_offsets.back());
  write_ring_points(n, corner_offsets.data(), corners.data(), rings.data(), num_rings.data(),
                    ring_offsets.data(), points.data(), 1);
  double twice_the_area = 0;
  for (std::size_t k = 0; k + 1 < ring_offsets.size(); ++k) {
    GEODET_FUZZ_REQUIRE(ring_offsets[k + 1] - ring_offsets[k] >= 4);
    for (std::int64_t i = ring_offsets[k]; i < ring_offsets[k + 1]; ++i) {
      const std::int64_t j = i + 1 < ring_offsets[k + 1] ? i + 1 : ring_offsets[k];
      const double* a = points.data() + 2 * i;
      const double* b = points.data() + 2 * j;
      GEODET_FUZZ_REQUIRE((a[0] == b[0]) != (a[1] == b[1]));  // along one axis, and not in place
      twice_the_area += a[0] * b[1] - b[0] * a[1];
    }
  }
  double set = 0;
  for (const std::int64_t area : areas_of(masks)) set += static_cast<double>(area);
  GEODET_FUZZ_REQUIRE(twice_the_area == 2 * set);
}

OwnedRuns turned(const OwnedRuns& masks, std::int64_t height, std::int64_t width) {
  const Shapes shapes(masks, height, Connectivity::kSides);
  const std::int64_t n = masks.batch().size;
  auto row_counts = room<std::int64_t>(n * (height + 1));
  auto numbers = room<std::int64_t>(n);
  count_row_runs(shapes.view(), height, row_counts.data(), numbers.data(), 1);
  const auto offsets = sums(numbers);
  auto row_runs = room<std::int32_t>(2 * offsets.back());
  auto slots = room<std::int32_t>(2 * offsets.back() + n);
  auto lengths = room<std::int64_t>(n);
  write_turned(shapes.view(), height, width, {false, true}, row_counts.data(), offsets.data(),
               row_runs.data(), slots.data(), lengths.data(), 1);
  std::vector<std::int64_t> begins;
  for (std::int64_t i = 0; i < n; ++i) {
    begins.push_back(2 * offsets[static_cast<std::size_t>(i)] + i);
  }
  OwnedRuns result = gathered(slots, begins, lengths);
  require_sound(result, height * width);
  return result;
}

OwnedRuns complement(const OwnedRuns& masks) {
  const std::int64_t n = masks.batch().size;
  auto slots = room<std::int32_t>(masks.offsets.back() + n);
  auto lengths = room<std::int64_t>(n);
  rle_complement(masks.batch(), slots.data(), lengths.data());
  std::vector<std::int64_t> begins;
  for (std::int64_t i = 0; i < n; ++i) {
    begins.push_back(masks.offsets[static_cast<std::size_t>(i)] + i);
  }
  return gathered(slots, begins, lengths);
}

OwnedRuns worked(const OwnedRuns& masks, std::int64_t height, std::int64_t width,
                 MorphologyPlan plan) {
  const std::int64_t n = masks.batch().size;
  auto rooms = room<std::int64_t>(n);
  GEODET_FUZZ_REQUIRE(rle_morphology_rooms(masks.batch(), height, width, plan, rooms.data()) ==
                      Status::kOk);
  const auto offsets = sums(rooms);
  auto buffers = room<std::int32_t>(kMorphologyBuffers * offsets.back());
  auto begins = room<std::int64_t>(n);
  auto lengths = room<std::int64_t>(n);
  GEODET_FUZZ_REQUIRE(rle_morphology(masks.batch(), height, width, plan, offsets.data(),
                                     buffers.data(), begins.data(), lengths.data(),
                                     1) == Status::kOk);
  OwnedRuns result = gathered(buffers, begins, lengths);
  require_sound(result, height * width);
  return result;
}

OwnedRuns padded(const OwnedRuns& masks, std::int64_t height, std::int64_t width,
                 Padding padding) {
  auto lengths = room<std::int64_t>(masks.batch().size);
  GEODET_FUZZ_REQUIRE(rle_pad(masks.batch(), height, width, padding, lengths.data(), nullptr,
                              nullptr, 1) == Status::kOk);
  OwnedRuns result;
  result.offsets = sums(lengths);
  result.counts = room<std::int32_t>(result.offsets.back());
  GEODET_FUZZ_REQUIRE(rle_pad(masks.batch(), height, width, padding, nullptr,
                              result.offsets.data(), result.counts.data(), 1) == Status::kOk);
  return result;
}

void grow_and_shrink(const OwnedRuns& masks, std::int64_t height, std::int64_t width,
                     fuzz::Input& input) {
  const auto neighbourhood = static_cast<Neighbourhood>(input.between(0, 2));
  const std::int64_t radius = input.between(0, 9);
  const auto before = areas_of(masks);
  const auto grown =
      areas_of(worked(masks, height, width, {Morphology::kDilate, neighbourhood, radius}));
  const OwnedRuns shrunk =
      worked(masks, height, width, {Morphology::kErode, neighbourhood, radius});
  const auto after = areas_of(shrunk);
  for (std::size_t i = 0; i < before.size(); ++i) {
    GEODET_FUZZ_REQUIRE(after[i] <= before[i] && before[i] <= grown[i]);
  }
  // Shrinking is growing of what is not set, in an image with room around it.
  const Padding around{radius, radius, radius, radius};
  const std::int64_t h = height + 2 * radius;
  const std::int64_t w = width + 2 * radius;
  const OwnedRuns others = complement(padded(masks, height, width, around));
  require_sound(others, h * w);
  const OwnedRuns kept =
      complement(worked(others, h, w, {Morphology::kDilate, neighbourhood, radius}));
  GEODET_FUZZ_REQUIRE(kept.counts == padded(shrunk, height, width, around).counts);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::int64_t height = input.between(1, 24);
  const std::int64_t width = input.between(1, 24);
  const std::int64_t n = input.between(0, 3);
  OwnedRuns masks;
  for (std::int64_t i = 0; i < n; ++i) {
    std::int64_t left = height * width;
    for (std::int64_t k = input.between(0, 90); k > 0; --k) {
      const std::int64_t run = std::min<std::int64_t>(left, input.value<std::uint8_t>() % 29);
      masks.counts.push_back(static_cast<std::int32_t>(run));
      left -= run;
    }
    masks.counts.push_back(static_cast<std::int32_t>(left));
    masks.offsets.push_back(static_cast<std::int64_t>(masks.counts.size()));
  }
  require_sound(masks, height * width);
  split(masks, height, width, Connectivity::kSides);
  split(masks, height, width, Connectivity::kCorners);
  outline(masks, height);
  const OwnedRuns half = turned(turned(masks, height, width), width, height);
  const OwnedRuns whole = turned(turned(half, height, width), width, height);
  const OwnedRuns canonical = complement(complement(masks));
  GEODET_FUZZ_REQUIRE(whole.counts == canonical.counts);
  grow_and_shrink(masks, height, width, input);
  return 0;
}
