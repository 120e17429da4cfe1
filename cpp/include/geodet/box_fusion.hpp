// Weighted box fusion: boxes of several models that show one object become their weighted mean.
//
// Solovyev, Wang, Gabruseva 2021, "Weighted boxes fusion: Ensembling boxes from different object
// detection models".
#pragma once

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet {

// What becomes of the scores of n boxes that are fused, with m models and their weights.
enum class FusedScore : std::int32_t {
  kCapped,   // mean, times min(n, m) / sum of weights: equation 5
  kCounted,  // mean, times n / sum of weights: equation 6
  kMaximum,  // highest, over the largest weight
};

struct FusionSettings {
  double iou_threshold;
  FusedScore score;
  std::int64_t models;
  double sum_of_weights, largest_weight;
};

// Bytes of scratch for n boxes.
std::int64_t box_fusion_scratch_bytes(std::int64_t n) noexcept;

// Boxes are visited by `order`: label by label, and in each by descending score. A box joins the
// fused box of its label that it overlaps most, the earliest of equal ones, if their IoU exceeds
// the threshold; the fused box becomes the mean of its boxes, weighted by score. Else it starts one
// of its own.
//   boxes [n, 4]; scores [n]: above 0, already times the weights of their models; labels [n];
//   order [n]; scratch: 8-byte aligned, overwritten;
//   fused_boxes [n, 4], fused_scores [n], fused_labels [n]: receive num_fused rows, label by label,
//   in each in the order in which they were started.
// Indices in `order` outside [0, n) give kOutOfRange.
Status fuse_boxes(const double* boxes, const double* scores, const std::int64_t* labels,
                  std::int64_t n, const std::int64_t* order, const FusionSettings& settings,
                  void* scratch, double* fused_boxes, double* fused_scores,
                  std::int64_t* fused_labels, std::int64_t* num_fused) noexcept;

}  // namespace geodet
