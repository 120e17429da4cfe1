#include "geodet/rle.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "check.hpp"
#include "geodet/rle_moves.hpp"
#include "random.hpp"

namespace {

using namespace geodet;

struct Batch {
  std::vector<std::int32_t> counts;
  std::vector<std::int64_t> offsets{0};

  void add(const std::int32_t* runs, std::int64_t count) {
    counts.insert(counts.end(), runs, runs + count);
    offsets.push_back(static_cast<std::int64_t>(counts.size()));
  }
  RleBatch view() const {
    return {counts.data(), offsets.data(), static_cast<std::int64_t>(offsets.size()) - 1};
  }
};

using Masks = std::vector<std::uint8_t>;

Masks random_masks(test::Random& random, std::int64_t pixels, double density) {
  Masks masks(static_cast<std::size_t>(pixels));
  for (auto& pixel : masks) pixel = random.uniform(0, 1) < density ? 1 : 0;
  return masks;
}

Batch encode(const Masks& masks, std::int64_t n, std::int64_t h, std::int64_t w) {
  Batch batch;
  std::vector<MaskScan> scans(static_cast<std::size_t>(n));
  GEODET_EXPECT(rle_encode_scan(masks.data(), n, h, w, scans.data(), 2) == Status::kOk);
  for (const MaskScan& scan : scans) batch.offsets.push_back(batch.offsets.back() + scan.num_runs);
  batch.counts.resize(static_cast<std::size_t>(batch.offsets.back()));
  GEODET_EXPECT(rle_encode_fill(masks.data(), n, h, w, scans.data(), batch.offsets.data(),
                                batch.counts.data(), 2) == Status::kOk);
  return batch;
}

// Sizes around those of words, blocks and strips; every allocation is exact.
GEODET_TEST(dense_masks_survive_the_way_through_runs) {
  test::Random random(1);
  for (const std::int64_t h : {1, 2, 5}) {
    for (const std::int64_t w : {1, 2, 7, 8, 9, 63, 64, 65, 129, 1023, 1025}) {
      for (const double density : {0.0, 0.02, 0.5, 1.0}) {
        const Masks masks = random_masks(random, 3 * h * w, density);
        const Batch batch = encode(masks, 3, h, w);
        const auto num_counts = static_cast<std::int64_t>(batch.counts.size());
        GEODET_EXPECT(rle_check(batch.view(), num_counts, h * w).fault == RleFault::kNone);
        Masks decoded(masks.size(), 0);
        GEODET_EXPECT(rle_decode(batch.view(), h, w, decoded.data(), 2) == Status::kOk);
        GEODET_EXPECT(decoded == masks);
      }
    }
  }
}

GEODET_TEST(set_operations_stay_inside_their_slots) {
  test::Random random(2);
  const std::int64_t pixels = 60;
  for (int round = 0; round < 200; ++round) {
    const auto n = static_cast<std::int64_t>(random.bits() % 6);
    const Masks masks = random_masks(random, n * pixels, random.uniform(0, 1));
    const Batch batch = encode(masks, n, 12, 5);
    const std::vector<std::int64_t> groups{0, n / 2, n / 2, n};
    const std::size_t room = batch.counts.size() + static_cast<std::size_t>(n + 2 * 3);
    std::vector<std::int32_t> slots(room), scratch(room);
    std::vector<std::int64_t> lengths(3);
    GEODET_EXPECT(rle_reduce(batch.view(), groups.data(), 3, RunsOperation::kUnion, pixels,
                             slots.data(), scratch.data(), lengths.data(), 1) == Status::kOk);
    Batch unions;
    for (std::size_t g = 0; g < 3; ++g) {
      const std::int64_t slot = rle_slot(batch.view(), groups[g], static_cast<std::int64_t>(g));
      unions.add(slots.data() + slot, lengths[g]);
    }
    Masks decoded(3 * pixels, 0);
    GEODET_EXPECT(rle_decode(unions.view(), 12, 5, decoded.data(), 1) == Status::kOk);
    for (std::size_t g = 0; g < 3; ++g) {
      for (std::int64_t p = 0; p < pixels; ++p) {
        bool any = false;
        for (std::int64_t i = groups[g]; i < groups[g + 1]; ++i) {
          any = any || masks[static_cast<std::size_t>(i * pixels + p)] != 0;
        }
        GEODET_EXPECT((decoded[g * 60 + static_cast<std::size_t>(p)] != 0) == any);
      }
    }
  }
}

GEODET_TEST(groups_outside_of_the_batch_are_refused) {
  const std::vector<std::int32_t> counts{4};
  Batch batch;
  batch.add(counts.data(), 1);
  std::vector<std::int32_t> slots(16), scratch(16);
  std::vector<std::int64_t> lengths(2);
  for (const std::vector<std::int64_t>& groups :
       {std::vector<std::int64_t>{0, 2, 1}, {0, 1, 2}, {1, 1, 1}, {0, -1, 1}}) {
    GEODET_EXPECT(rle_reduce(batch.view(), groups.data(), 2, RunsOperation::kUnion, 4,
                             slots.data(), scratch.data(), lengths.data(),
                             1) == Status::kOutOfRange);
  }
}

GEODET_TEST(faults_are_found_before_anything_is_read_through_them) {
  const std::vector<std::int32_t> counts{1, 5, 6};
  const auto fault = [&](const std::vector<std::int64_t>& offsets, std::int64_t pixels) {
    const RleBatch batch{counts.data(), offsets.data(),
                         static_cast<std::int64_t>(offsets.size()) - 1};
    return rle_check(batch, 3, pixels).fault;
  };
  GEODET_EXPECT(fault({0, 2, 3}, 6) == RleFault::kNone);
  GEODET_EXPECT(fault({0, 2, 3}, -1) == RleFault::kNone);
  GEODET_EXPECT(fault({0, 2, 3}, 7) == RleFault::kSum);
  GEODET_EXPECT(fault({0, 1, 3}, -1) == RleFault::kSum);
  GEODET_EXPECT(fault({0, 2}, 6) == RleFault::kOffsets);
  GEODET_EXPECT(fault({1, 3}, 6) == RleFault::kOffsets);
  GEODET_EXPECT(fault({0, 1000000, 3}, 6) == RleFault::kOffsets);
  GEODET_EXPECT(fault({0, -5, 3}, 6) == RleFault::kOffsets);
}

GEODET_TEST(random_text_never_overruns_its_counts) {
  test::Random random(3);
  for (int round = 0; round < 20000; ++round) {
    std::string text(random.bits() % 12, '0');
    const bool wild = random.bits() % 4 == 0;
    for (char& c : text) {
      c = static_cast<char>(wild ? random.bits() % 256 : 48 + random.bits() % 64);
    }
    const auto size = static_cast<std::int64_t>(text.size());
    const std::int64_t runs = rle_text_num_runs(text.data(), size);
    std::vector<std::int32_t> counts(static_cast<std::size_t>(runs));
    std::int64_t fault = 0;
    if (rle_from_text(text.data(), size, counts.data(), &fault) != Status::kOk) {
      GEODET_EXPECT(fault >= 0 && fault < size);
      continue;
    }
    const Runs read{counts.data(), runs};
    std::string again(static_cast<std::size_t>(rle_text_size(read)), '\0');
    rle_to_text(read, again.data());
    GEODET_EXPECT(again.size() <= text.size());  // equal but for groups that say nothing
  }
}

GEODET_TEST(column_maps_that_lead_outside_are_refused) {
  const std::vector<std::int32_t> rows{0, 1, 2};
  const std::vector<std::int32_t> there_and_back{2, 0, 2};
  const std::vector<std::int32_t> columns{0, 2};
  const std::vector<std::int32_t> outside{0, 3};
  GEODET_EXPECT(column_map_is_sound({columns.data(), 2, rows.data(), 2, 3, 2}));
  GEODET_EXPECT(!column_map_is_sound({outside.data(), 2, rows.data(), 2, 3, 2}));
  GEODET_EXPECT(!column_map_is_sound({columns.data(), 2, there_and_back.data(), 2, 3, 2}));
  GEODET_EXPECT(!column_map_is_sound({columns.data(), 2, rows.data(), 2, 3, 3}));
}

}  // namespace

GEODET_TEST(columns_moved_one_by_one_are_those_of_remap) {
  test::Random random(7);
  for (int round = 0; round < 200; ++round) {
    const std::int64_t h = 1 + random.below(9);
    const std::int64_t w = 1 + random.below(9);
    const std::int64_t new_h = 1 + random.below(14);
    const std::int64_t new_w = 1 + random.below(14);
    const Batch batch = encode(random_masks(random, 2 * h * w, 0.5), 2, h, w);
    std::vector<std::int32_t> columns(static_cast<std::size_t>(new_w));
    for (auto& column : columns) column = static_cast<std::int32_t>(random.below(w));
    std::vector<std::int32_t> rows(static_cast<std::size_t>(h + 1));
    for (std::int64_t y = 0; y <= h; ++y) {
      rows[static_cast<std::size_t>(y)] = static_cast<std::int32_t>(y * new_h / h);
    }
    if (round % 2 == 1) std::reverse(rows.begin(), rows.end());
    const ColumnMap map{columns.data(), new_w, rows.data(), h, w, new_h};
    GEODET_EXPECT(column_map_is_sound(map));
    std::vector<std::int64_t> lengths(2);
    GEODET_EXPECT(rle_remap(batch.view(), map, lengths.data(), nullptr, nullptr, 1) ==
                  Status::kOk);
    const std::vector<std::int64_t> offsets{0, lengths[0], lengths[0] + lengths[1]};
    std::vector<std::int32_t> expected(static_cast<std::size_t>(offsets[2]));
    GEODET_EXPECT(rle_remap(batch.view(), map, nullptr, offsets.data(), expected.data(), 1) ==
                  Status::kOk);
    std::vector<std::int32_t> ends(batch.counts.size());
    rle_ends(batch.view(), ends.data());
    std::vector<std::int32_t> moved;
    for (std::int64_t i = 0; i < 2; ++i) {
      std::int64_t previous = 0;
      for (std::int64_t j = 0; j < new_w; ++j) {
        for_each_moved_change(ends.data() + batch.offsets[static_cast<std::size_t>(i)],
                              batch.view()[i].count, map, j, [&](std::int64_t y) {
                                moved.push_back(
                                    static_cast<std::int32_t>(j * new_h + y - previous));
                                previous = j * new_h + y;
                              });
      }
      moved.push_back(static_cast<std::int32_t>(new_h * new_w - previous));
    }
    GEODET_EXPECT(moved == expected);
  }
}
