// Dilation, erosion, padding and complement of run lengths, without making masks dense.
#pragma once

#include <cstdint>

#include "geodet/rle.hpp"

namespace geodet {

// Pixels (dx, dy) around a pixel that count as near it, for a radius r.
enum class Neighbourhood {
  kSquare,   // max(|dx|, |dy|) <= r
  kDiamond,  // |dx| + |dy| <= r
  kDisk,     // dx * dx + dy * dy <= r * r
};

enum class Morphology { kDilate, kErode };

// A dilated mask sets what is near a set pixel; an eroded one keeps what is near set pixels only.
// Pixels outside of the image are not set, so that erosion eats from the border.
struct MorphologyPlan {
  Morphology operation;
  Neighbourhood neighbourhood;
  std::int64_t radius;
};

// rooms [n]: a bound on the runs of each result and of what leads to it.
Status rle_morphology_rooms(RleBatch batch, std::int64_t height, std::int64_t width,
                            MorphologyPlan plan, std::int64_t* rooms) noexcept;

// room_offsets [n + 1]: sums of rooms. buffers: kMorphologyBuffers counts for each of room, those
// of mask i from kMorphologyBuffers * room_offsets[i]; results [n]: where in buffers the runs of
// each mask begin; lengths [n]: how many there are.
constexpr std::int64_t kMorphologyBuffers = 4;
Status rle_morphology(RleBatch batch, std::int64_t height, std::int64_t width,
                      MorphologyPlan plan, const std::int64_t* room_offsets,
                      std::int32_t* buffers, std::int64_t* results, std::int64_t* lengths,
                      int num_threads) noexcept;

// Zeros become ones and ones zeros. counts: offsets[i + 1] - offsets[i] + 1 for mask i, from
// slots + offsets[i] + i; lengths [n].
void rle_complement(RleBatch batch, std::int32_t* slots, std::int64_t* lengths) noexcept;

struct Padding {
  std::int64_t left, top, right, bottom;
};

// In two passes: with null `offsets` and `counts`, lengths [n] receives the number of runs; then
// the caller sums them into offsets and calls again.
Status rle_pad(RleBatch batch, std::int64_t height, std::int64_t width, Padding padding,
               std::int64_t* lengths, const std::int64_t* offsets, std::int32_t* counts,
               int num_threads) noexcept;

// common [n]: row by row, the number of pixels that both masks set.
Status matched_rle_intersection(RleBatch a, RleBatch b, std::int64_t* common,
                                int num_threads) noexcept;

}  // namespace geodet
