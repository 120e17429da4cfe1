#include "exercise_runs.hpp"

#include <numeric>

namespace geodet::fuzz {
namespace {

// Dense masks are made up to this size.
constexpr std::int64_t kMaxDensePixels = 1 << 16;

OwnedRuns gathered(const std::vector<std::int32_t>& slots,
                   const std::vector<std::int64_t>& lengths,
                   const std::vector<std::int64_t>& begins) {
  OwnedRuns result;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto begin = slots.begin() + begins[i];
    result.counts.insert(result.counts.end(), begin, begin + lengths[i]);
    result.offsets.push_back(result.offsets.back() + lengths[i]);
  }
  return result;
}

std::vector<std::int64_t> areas_of(const OwnedRuns& masks) {
  auto areas = room<std::int64_t>(masks.batch().size);
  rle_area(masks.batch(), areas.data());
  return areas;
}

void require_sound(const OwnedRuns& masks, std::int64_t num_pixels) {
  const RleReport report =
      rle_check(masks.batch(), static_cast<std::int64_t>(masks.counts.size()), num_pixels);
  GEODET_FUZZ_REQUIRE(report.fault == RleFault::kNone);
}

void measure(const OwnedRuns& masks, std::int64_t height, std::int64_t width) {
  const RleBatch batch = masks.batch();
  auto boxes = room<float>(4 * batch.size);
  rle_boxes(batch, height, boxes.data());
  const auto areas = areas_of(masks);
  for (std::size_t i = 0; i < areas.size(); ++i) {
    const float* box = boxes.data() + 4 * i;
    GEODET_FUZZ_REQUIRE(areas[i] >= 0 && areas[i] <= height * width);
    GEODET_FUZZ_REQUIRE(box[0] >= 0 && box[1] >= 0 && box[0] <= box[2] && box[1] <= box[3]);
    // float32 rounds sides beyond 2^24
    GEODET_FUZZ_REQUIRE(box[2] <= static_cast<float>(width));
    GEODET_FUZZ_REQUIRE(box[3] <= static_cast<float>(height));
    GEODET_FUZZ_REQUIRE((areas[i] == 0) == (box[2] == 0));
  }
}

void overlap(const OwnedRuns& masks, std::int64_t height, Input& input) {
  const RleBatch batch = masks.batch();
  const auto n = static_cast<std::size_t>(batch.size);
  auto a_ends = room<std::int32_t>(batch.offsets[batch.size]);
  auto b_ends = a_ends;
  auto summaries = room<RunsSummary>(2 * batch.size);
  std::vector<std::uint8_t> crowd(n);
  for (auto& each : crowd) each = input.value<std::uint8_t>() & 1u;
  std::vector<double> iou(n * n), plain(n * n);
  const std::uint8_t* crowds = crowd.data();
  auto strips = room<MaskStrips>(2 * batch.size);
  std::int64_t values = rle_strips_plan(batch, height, 0, strips.data());
  values += rle_strips_plan(batch, height, values, strips.data() + batch.size);
  auto strip_values = room<std::int32_t>(values);
  rle_strips_fill(batch, height, strips.data(), strip_values.data(), 1);
  rle_strips_fill(batch, height, strips.data() + batch.size, strip_values.data(), 2);
  const RleOverlapScratch by_strips{a_ends.data(), b_ends.data(), summaries.data(), strips.data(),
                                    strip_values.data()};
  const RleOverlapScratch by_runs{a_ends.data(), b_ends.data(), summaries.data(), nullptr,
                                  nullptr};
  GEODET_FUZZ_REQUIRE(pairwise_rle_iou(batch, batch, crowds, height, by_strips, iou.data(), 1) ==
                      Status::kOk);
  GEODET_FUZZ_REQUIRE(pairwise_rle_iou(batch, batch, nullptr, 0, by_runs, plain.data(), 2) ==
                      Status::kOk);
  std::vector<double> again(n * n);
  GEODET_FUZZ_REQUIRE(pairwise_rle_iou(batch, batch, crowds, height, by_runs, again.data(), 1) ==
                      Status::kOk);
  GEODET_FUZZ_REQUIRE(again == iou);
  const auto areas = areas_of(masks);
  for (std::size_t i = 0; i < n; ++i) {
    GEODET_FUZZ_REQUIRE(plain[i * n + i] == (areas[i] > 0 ? 1.0 : 0.0));
    for (std::size_t j = 0; j < n; ++j) {
      GEODET_FUZZ_REQUIRE(plain[i * n + j] == plain[j * n + i]);
      GEODET_FUZZ_REQUIRE(iou[i * n + j] >= plain[i * n + j] && iou[i * n + j] <= 1.0);
    }
  }
}

OwnedRuns reduced(const OwnedRuns& masks, const std::vector<std::int64_t>& groups,
                  RunsOperation operation, std::int64_t num_pixels) {
  const RleBatch batch = masks.batch();
  const auto num_groups = static_cast<std::int64_t>(groups.size()) - 1;
  const std::int64_t space = batch.offsets[batch.size] + batch.size + 2 * num_groups;
  auto slots = room<std::int32_t>(space);
  auto scratch = room<std::int32_t>(space);
  auto lengths = room<std::int64_t>(num_groups);
  GEODET_FUZZ_REQUIRE(rle_reduce(batch, groups.data(), num_groups, operation, num_pixels,
                                 slots.data(), scratch.data(), lengths.data(),
                                 1) == Status::kOk);
  std::vector<std::int64_t> begins;
  for (std::int64_t g = 0; g < num_groups; ++g) {
    begins.push_back(rle_slot(batch, groups[static_cast<std::size_t>(g)], g));
  }
  return gathered(slots, lengths, begins);
}

void combine(const OwnedRuns& masks, std::int64_t num_pixels, Input& input) {
  const RleBatch batch = masks.batch();
  const std::int64_t middle = input.between(0, batch.size);
  const std::vector<std::int64_t> groups{0, middle, middle, batch.size};
  const OwnedRuns either = reduced(masks, groups, RunsOperation::kUnion, num_pixels);
  const OwnedRuns both = reduced(masks, groups, RunsOperation::kIntersection, num_pixels);
  require_sound(either, num_pixels);
  require_sound(both, num_pixels);
  const auto union_areas = areas_of(either);
  const auto common_areas = areas_of(both);
  GEODET_FUZZ_REQUIRE(union_areas[1] == 0 && common_areas[1] == num_pixels);
  auto slots = room<std::int32_t>(static_cast<std::int64_t>(either.counts.size() +
                                                            both.counts.size()) + 3);
  auto lengths = room<std::int64_t>(3);
  GEODET_FUZZ_REQUIRE(rle_combine(either.batch(), both.batch(), RunsOperation::kDifference,
                                  slots.data(), lengths.data(), 1) == Status::kOk);
  std::vector<std::int64_t> begins;
  for (std::size_t i = 0; i < 3; ++i) {
    begins.push_back(either.offsets[i] + both.offsets[i] + static_cast<std::int64_t>(i));
  }
  const OwnedRuns rest = gathered(slots, lengths, begins);
  require_sound(rest, num_pixels);
  const auto rest_areas = areas_of(rest);
  if (middle > 0) GEODET_FUZZ_REQUIRE(rest_areas[0] == union_areas[0] - common_areas[0]);
}

OwnedRuns remapped(const OwnedRuns& masks, const ColumnMap& map) {
  const RleBatch batch = masks.batch();
  auto lengths = room<std::int64_t>(batch.size);
  GEODET_FUZZ_REQUIRE(rle_remap(batch, map, lengths.data(), nullptr, nullptr, 1) == Status::kOk);
  OwnedRuns result;
  for (const std::int64_t length : lengths) {
    result.offsets.push_back(result.offsets.back() + length);
  }
  result.counts = room<std::int32_t>(result.offsets.back());
  GEODET_FUZZ_REQUIRE(rle_remap(batch, map, nullptr, result.offsets.data(), result.counts.data(),
                                1) == Status::kOk);
  return result;
}

void move(const OwnedRuns& masks, std::int64_t height, std::int64_t width, Input& input) {
  if (height > kMaxDensePixels || width > kMaxDensePixels) return;
  auto columns = room<std::int32_t>(width);
  auto rows = room<std::int32_t>(height + 1);
  std::iota(columns.begin(), columns.end(), 0);
  std::iota(rows.begin(), rows.end(), 0);
  const bool upside_down = (input.value<std::uint8_t>() & 1u) != 0;
  std::reverse(columns.begin(), columns.end());
  if (upside_down) std::reverse(rows.begin(), rows.end());
  const ColumnMap mirror{columns.data(), width, rows.data(), height, width, height};
  GEODET_FUZZ_REQUIRE(column_map_is_sound(mirror));
  const OwnedRuns mirrored = remapped(masks, mirror);
  require_sound(mirrored, height * width);
  GEODET_FUZZ_REQUIRE(areas_of(mirrored) == areas_of(masks));
  // Any map that passes the check must be safe.
  auto wild_columns = room<std::int32_t>(input.between(0, 9));
  for (auto& column : wild_columns) column = static_cast<std::int32_t>(input.between(-1, width));
  auto wild_rows = room<std::int32_t>(height + 1);
  std::int32_t row = 0;
  for (std::size_t y = 1; y < wild_rows.size(); ++y) {
    row += static_cast<std::int32_t>(input.between(0, 3) == 0);
    wild_rows[y] = row;
  }
  const ColumnMap wild{wild_columns.data(), static_cast<std::int64_t>(wild_columns.size()),
                       wild_rows.data(), height, width, row};
  if (!column_map_is_sound(wild)) return;
  require_sound(remapped(masks, wild), wild.new_height * wild.new_width);
}

void write_and_read(const OwnedRuns& masks) {
  for (std::int64_t i = 0; i < masks.batch().size; ++i) {
    const Runs runs = masks.batch()[i];
    auto text = room<char>(rle_text_size(runs));
    rle_to_text(runs, text.data());
    const auto size = static_cast<std::int64_t>(text.size());
    GEODET_FUZZ_REQUIRE(rle_text_num_runs(text.data(), size) == runs.count);
    auto again = room<std::int32_t>(runs.count);
    std::int64_t fault = 0;
    GEODET_FUZZ_REQUIRE(rle_from_text(text.data(), size, again.data(), &fault) == Status::kOk);
    GEODET_FUZZ_REQUIRE(std::equal(again.begin(), again.end(), runs.lengths));
  }
}

void decode_and_encode(const OwnedRuns& masks, std::int64_t height, std::int64_t width) {
  const RleBatch batch = masks.batch();
  if (height * width * batch.size > kMaxDensePixels) return;
  auto dense = room<std::uint8_t>(batch.size * height * width);
  GEODET_FUZZ_REQUIRE(rle_decode(batch, height, width, dense.data(), 1) == Status::kOk);
  const auto areas = areas_of(masks);
  for (std::size_t i = 0; i < areas.size(); ++i) {
    const auto pixels = static_cast<std::size_t>(height * width);
    const auto begin = dense.begin() + static_cast<std::ptrdiff_t>(i * pixels);
    GEODET_FUZZ_REQUIRE(std::count(begin, begin + static_cast<std::ptrdiff_t>(pixels), 1) ==
                        areas[i]);
  }
  auto scans = room<MaskScan>(batch.size);
  GEODET_FUZZ_REQUIRE(rle_encode_scan(dense.data(), batch.size, height, width, scans.data(), 1) ==
                      Status::kOk);
  OwnedRuns encoded;
  for (const MaskScan& scan : scans) {
    encoded.offsets.push_back(encoded.offsets.back() + scan.num_runs);
  }
  encoded.counts = room<std::int32_t>(encoded.offsets.back());
  GEODET_FUZZ_REQUIRE(rle_encode_fill(dense.data(), batch.size, height, width, scans.data(),
                                      encoded.offsets.data(), encoded.counts.data(),
                                      1) == Status::kOk);
  require_sound(encoded, height * width);
  // Canonical runs of the same pixels: the union of a mask with itself.
  auto each = room<std::int64_t>(batch.size + 1);
  std::iota(each.begin(), each.end(), 0);
  const OwnedRuns canonical = reduced(masks, each, RunsOperation::kUnion, height * width);
  GEODET_FUZZ_REQUIRE(canonical.counts == encoded.counts);
}

}  // namespace

void exercise_runs(const OwnedRuns& masks, std::int64_t height, std::int64_t width,
                   Input& input) {
  measure(masks, height, width);
  overlap(masks, height, input);
  combine(masks, height * width, input);
  move(masks, height, width, input);
  write_and_read(masks);
  decode_and_encode(masks, height, width);
}

}  // namespace geodet::fuzz
