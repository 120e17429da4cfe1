#include "geodet/rle_shapes.hpp"

#include <cstdint>
#include <vector>

#include "check.hpp"
#include "geodet/rle_morphology.hpp"
#include "random.hpp"

using namespace geodet;

namespace {

using Mask = std::vector<std::uint8_t>;  // column by column, as runs are

Mask random_mask(test::Random& random, std::int64_t pixels, double density) {
  Mask mask(static_cast<std::size_t>(pixels));
  for (std::uint8_t& pixel : mask) pixel = random.uniform(0, 1) < density ? 1 : 0;
  return mask;
}

struct Batch {
  std::vector<std::int32_t> counts;
  std::vector<std::int64_t> offsets{0};

  void add(const Mask& mask) {
    counts.resize(counts.size() + mask.size() + 1);
    RunWriter writer(counts.data() + offsets.back());
    for (const std::uint8_t pixel : mask) writer.add(pixel != 0, 1);
    offsets.push_back(offsets.back() + writer.finish());
    counts.resize(static_cast<std::size_t>(offsets.back()));
  }

  RleBatch view() const {
    return {counts.data(), offsets.data(), static_cast<std::int64_t>(offsets.size()) - 1};
  }
};

Mask decode(const std::int32_t* runs, std::int64_t count) {
  Mask mask;
  for (std::int64_t k = 0; k < count; ++k) {
    mask.insert(mask.end(), static_cast<std::size_t>(runs[k]), k % 2 == 1 ? 1 : 0);
  }
  return mask;
}

std::vector<std::int64_t> sums(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int64_t> offsets{0};
  for (const std::int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

// A batch cut into segments, in allocations without slack.
struct Shapes {
  Shapes(const Batch& batch, std::int64_t height) {
    std::vector<std::int64_t> sizes(batch.offsets.size() - 1);
    rle_count_segments(batch.view(), height, sizes.data());
    offsets = sums(sizes);
    segments.resize(static_cast<std::size_t>(offsets.back()));
    rle_list_segments(batch.view(), height, offsets.data(), segments.data(), 2);
    labels.resize(segments.size());
    std::vector<std::int64_t> numbers(sizes.size());
    GEODET_EXPECT(label_segments(view(), Connectivity::kSides, labels.data(), numbers.data(), 2) ==
                  Status::kOk);
    components = sums(numbers);
  }

  SegmentBatch view() const {
    return {segments.data(), offsets.data(), static_cast<std::int64_t>(offsets.size()) - 1};
  }

  std::vector<std::int64_t> offsets;
  std::vector<ColumnSegment> segments;
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> components;
};

GEODET_TEST(components_stay_inside_their_slots_and_add_up) {
  test::Random random(1);
  for (int round = 0; round < 300; ++round) {
    const std::int64_t h = 1 + random.below(7);
    const std::int64_t w = 1 + random.below(9);
    Batch batch;
    std::vector<Mask> masks;
    for (int i = 0; i < 3; ++i) {
      masks.push_back(random_mask(random, h * w, random.uniform(0, 1)));
      batch.add(masks.back());
    }
    const Shapes shapes(batch, h);
    const auto total = static_cast<std::size_t>(shapes.components.back());
    std::vector<std::int64_t> sizes(total), ends(total), lengths(total);
    count_component_segments(shapes.view(), shapes.labels.data(), shapes.components.data(),
                             sizes.data());
    for (std::int64_t& size : sizes) size = 2 * size + 1;
    const std::vector<std::int64_t> slot_offsets = sums(sizes);
    std::vector<std::int32_t> slots(static_cast<std::size_t>(slot_offsets.back()));
    write_components(shapes.view(), shapes.labels.data(), shapes.components.data(), h, h * w,
                     slot_offsets.data(), slots.data(), ends.data(), lengths.data(), 2);
    for (std::size_t i = 0; i < masks.size(); ++i) {
      Mask sum(masks[i].size(), 0);
      for (std::int64_t c = shapes.components[i]; c < shapes.components[i + 1]; ++c) {
        GEODET_EXPECT(lengths[c] <= sizes[c]);
        const Mask piece = decode(slots.data() + slot_offsets[c], lengths[c]);
        GEODET_EXPECT(piece.size() == sum.size());
        for (std::size_t p = 0; p < sum.size(); ++p) sum[p] += piece[p];
      }
      GEODET_EXPECT(sum == masks[i]);
    }
  }
}

GEODET_TEST(contours_use_each_corner_once_and_enclose_the_area) {
  test::Random random(2);
  for (int round = 0; round < 500; ++round) {
    const std::int64_t h = 1 + random.below(8);
    const std::int64_t w = 1 + random.below(8);
    const Mask mask = random_mask(random, h * w, random.uniform(0, 1));
    Batch batch;
    batch.add(mask);
    batch.add(mask);
    const Shapes shapes(batch, h);
    std::vector<std::int64_t> numbers(2), num_rings(2);
    count_corners(shapes.view(), numbers.data(), 2);
    const std::vector<std::int64_t> corner_offsets = sums(numbers);
    GEODET_EXPECT(numbers[0] % 2 == 0);
    std::vector<Corner> corners(static_cast<std::size_t>(corner_offsets.back()));
    std::vector<Ring> rings(static_cast<std::size_t>(corner_offsets.back() / 4));
    std::vector<std::int64_t> open_rows(static_cast<std::size_t>(2 * (h + 1)));
    trace_rings(shapes.view(), shapes.labels.data(), h, corner_offsets.data(), corners.data(),
                open_rows.data(), rings.data(), num_rings.data(), 2);
    const auto all = static_cast<std::size_t>(num_rings[0] + num_rings[1]);
    std::vector<std::int64_t> ring_offsets(all + 1), part_offsets(shapes.components.back() + 1),
        next(shapes.components.back());
    place_rings(2, corner_offsets.data(), rings.data(), num_rings.data(),
                shapes.components.data(), ring_offsets.data(), part_offsets.data(), next.data());
    GEODET_EXPECT(ring_offsets[all] == corner_offsets.back());
    GEODET_EXPECT(part_offsets.back() == static_cast<std::int64_t>(all));
    std::vector<double> points(static_cast<std::size_t>(2 * corner_offsets.back()));
    write_ring_points(2, corner_offsets.data(), corners.data(), rings.data(), num_rings.data(),
                      ring_offsets.data(), points.data(), 2);
    double twice_the_area = 0;
    for (std::size_t k = 0; k < all; ++k) {
      for (std::int64_t i = ring_offsets[k]; i < ring_offsets[k + 1]; ++i) {
        const std::int64_t j = i + 1 < ring_offsets[k + 1] ? i + 1 : ring_offsets[k];
        twice_the_area += points[2 * i] * points[2 * j + 1] - points[2 * j] * points[2 * i + 1];
      }
    }
    double set = 0;
    for (const std::uint8_t pixel : mask) set += pixel;
    GEODET_EXPECT(twice_the_area == 2 * 2 * set);
  }
}

GEODET_TEST(turned_rows_stay_inside_their_slots) {
  test::Random random(3);
  for (int round = 0; round < 300; ++round) {
    const std::int64_t h = 1 + random.below(7);
    const std::int64_t w = 1 + random.below(9);
    const Mask mask = random_mask(random, h * w, random.uniform(0, 1));
    Batch batch;
    batch.add(mask);
    const Shapes shapes(batch, h);
    std::vector<std::int64_t> row_counts(static_cast<std::size_t>(h + 1)), number(1), length(1);
    count_row_runs(shapes.view(), h, row_counts.data(), number.data(), 1);
    const std::vector<std::int64_t> offsets = sums(number);
    std::vector<std::int32_t> row_runs(static_cast<std::size_t>(2 * number[0]));
    std::vector<std::int32_t> slots(static_cast<std::size_t>(2 * number[0] + 1));
    write_turned(shapes.view(), h, w, {false, true}, row_counts.data(), offsets.data(),
                 row_runs.data(), slots.data(), length.data(), 1);
    const Mask turned = decode(slots.data(), length[0]);
    for (std::int64_t x = 0; x < w; ++x) {
      for (std::int64_t y = 0; y < h; ++y) {
        GEODET_EXPECT(turned[y * w + (w - 1 - x)] == mask[x * h + y]);
      }
    }
  }
}

// The rooms are bounds: an overrun is what the address sanitizer sees here.
GEODET_TEST(morphology_stays_inside_its_rooms) {
  test::Random random(4);
  for (int round = 0; round < 600; ++round) {
    const std::int64_t h = 1 + random.below(20);
    const std::int64_t w = 1 + random.below(20);
    const Mask mask = random_mask(random, h * w, random.uniform(0, 1));
    Batch batch;
    batch.add(mask);
    const MorphologyPlan plan{
        random.below(2) == 0 ? Morphology::kDilate : Morphology::kErode,
        std::vector<Neighbourhood>{Neighbourhood::kSquare, Neighbourhood::kDiamond,
                                   Neighbourhood::kDisk}[random.below(3)],
        random.below(6)};
    std::vector<std::int64_t> room(1), result(1), length(1);
    GEODET_EXPECT(rle_morphology_rooms(batch.view(), h, w, plan, room.data()) == Status::kOk);
    const std::vector<std::int64_t> offsets = sums(room);
    std::vector<std::int32_t> buffers(static_cast<std::size_t>(kMorphologyBuffers * room[0]));
    GEODET_EXPECT(rle_morphology(batch.view(), h, w, plan, offsets.data(), buffers.data(),
                                 result.data(), length.data(), 1) == Status::kOk);
    GEODET_EXPECT(length[0] <= room[0]);
    const Mask got = decode(buffers.data() + result[0], length[0]);
    GEODET_EXPECT(got.size() == mask.size());
    const bool dilate = plan.operation == Morphology::kDilate;
    for (std::size_t p = 0; p < mask.size(); ++p) {
      GEODET_EXPECT(dilate ? got[p] >= mask[p] : got[p] <= mask[p]);
    }
  }
}

GEODET_TEST(morphology_refuses_what_means_nothing) {
  Batch batch;
  batch.add(Mask(12, 1));
  std::vector<std::int64_t> room(1);
  for (const MorphologyPlan& plan :
       {MorphologyPlan{Morphology::kDilate, Neighbourhood::kSquare, -1},
        MorphologyPlan{static_cast<Morphology>(9), Neighbourhood::kSquare, 1},
        MorphologyPlan{Morphology::kDilate, static_cast<Neighbourhood>(9), 1}}) {
    GEODET_EXPECT(rle_morphology_rooms(batch.view(), 3, 4, plan, room.data()) ==
                  Status::kInvalidArgument);
  }
  const Padding negative{0, -1, 0, 0};
  GEODET_EXPECT(rle_pad(batch.view(), 3, 4, negative, room.data(), nullptr, nullptr, 1) ==
                Status::kInvalidArgument);
}

}  // namespace
