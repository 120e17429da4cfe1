"""Every operator against the libraries users would pick instead: python benchmarks/ops.py."""

import argparse

import box_cases
import box_overlap_cases
import keypoint_cases
import mask_cases
import mask_shape_cases
import polygon_cases
import roi_cases
import rotated_cases
import torch
from timing import check, header, median_ms, rows, setting

FAMILIES = (
    box_cases,
    box_overlap_cases,
    keypoint_cases,
    mask_cases,
    mask_shape_cases,
    polygon_cases,
    roi_cases,
    rotated_cases,
)


def main() -> None:
    """Check, time and print every selected comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="torch threads, for all sides")
    parser.add_argument("--runs", type=int, default=7, help="rounds per comparison")
    parser.add_argument("--only", default="", help="part of a comparison's name")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(setting("torchvision", "pycocotools", "shapely"))
    print(f"medians of {arguments.runs} rounds, all ways of a line in turn in one process")
    print(header(), flush=True)
    cases = [case for family in FAMILIES for case in family.cases()]
    for name, build in cases:
        if arguments.only in name:
            comparison = build()
            check(comparison)
            for line in rows(comparison, median_ms(comparison, arguments.runs)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
