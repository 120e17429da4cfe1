"""Published checkpoints of Detectron2's projects, and of its comparisons with Detectron1."""

from geodet.models.zoo.deeplab import (
    deeplab_v3_plus_r103,
    deeplab_v3_r103,
    panoptic_deeplab_r52,
    panoptic_deeplab_r52_coco_separable,
    panoptic_deeplab_r52_separable,
)
from geodet.models.zoo.detectron1 import (
    detectron1_faster_rcnn_r50_fpn,
    detectron1_keypoint_rcnn_r50_fpn,
    detectron1_mask_rcnn_r50_fpn,
)
from geodet.models.zoo.projects import (
    point_rend_mask_rcnn_r50_fpn,
    point_rend_mask_rcnn_r50_fpn_cityscapes,
    point_rend_mask_rcnn_r101_fpn,
    point_rend_mask_rcnn_x101_fpn,
    point_rend_semantic_r101_fpn_cityscapes,
    tridentnet_r50_c4,
    tridentnet_r101_c4,
)
from geodet.models.zoo.published_table import PublishedCheckpoint, published

__all__ = ["PROJECTS"]

PROJECTS: tuple[PublishedCheckpoint, ...] = (
    *published(
        "COCO 2017",
        "PointRend/InstanceSegmentation",
        ("mask_ap",),
        (
            (
                point_rend_mask_rcnn_r50_fpn,
                "1x",
                "pointrend_rcnn_R_50_FPN_1x_coco/164254221/736f5a",
                36.2,
            ),
            (
                point_rend_mask_rcnn_r50_fpn,
                "3x",
                "pointrend_rcnn_R_50_FPN_3x_coco/164955410/edd263",
                38.3,
            ),
            (
                point_rend_mask_rcnn_r101_fpn,
                "3x",
                "pointrend_rcnn_R_101_FPN_3x_coco/28119983/3f4d2a",
                40.1,
            ),
            (
                point_rend_mask_rcnn_x101_fpn,
                "3x",
                "pointrend_rcnn_X_101_32x8d_FPN_3x_coco/28119989/ba17b9",
                41.1,
            ),
        ),
    ),
    *published(
        "Cityscapes",
        "PointRend/InstanceSegmentation",
        ("mask_ap",),
        (
            (
                point_rend_mask_rcnn_r50_fpn_cityscapes,
                "1x",
                "pointrend_rcnn_R_50_FPN_1x_cityscapes/164255101/115bfb",
                35.9,
            ),
        ),
    ),
    *published(
        "COCO 2017",
        "TridentNet",
        ("box_ap",),
        (
            (tridentnet_r50_c4, "1x", "tridentnet_fast_R_50_C4_1x/148572687/756cda", 38.0),
            (tridentnet_r50_c4, "3x", "tridentnet_fast_R_50_C4_3x/148572287/e1027c", 40.6),
            (tridentnet_r101_c4, "3x", "tridentnet_fast_R_101_C4_3x/148572198/164568", 43.6),
        ),
    ),
    *published(
        "Cityscapes",
        "PointRend/SemanticSegmentation",
        ("miou",),
        (
            (
                point_rend_semantic_r101_fpn_cityscapes,
                "1x",
                "pointrend_semantic_R_101_FPN_1x_cityscapes/202576688/cf6ac1",
                78.9,
            ),
        ),
    ),
    *published(
        "Cityscapes",
        "DeepLab/Cityscapes-SemanticSegmentation",
        ("miou",),
        (
            (
                deeplab_v3_r103,
                "",
                "deeplab_v3_R_103_os16_mg124_poly_90k_bs16/28041665/0dff1b",
                78.5,
            ),
            (
                deeplab_v3_plus_r103,
                "",
                "deeplab_v3_plus_R_103_os16_mg124_poly_90k_bs16/28054032/a8a355",
                80.0,
            ),
        ),
    ),
    *published(
        "Cityscapes",
        "PanopticDeepLab/Cityscapes-PanopticSegmentation",
        ("pq", "miou"),
        (
            (
                panoptic_deeplab_r52,
                "",
                "panoptic_deeplab_R_52_os16_mg124_poly_90k_bs32/bd324a",
                60.3,
                78.2,
            ),
            (
                panoptic_deeplab_r52_separable,
                "",
                "panoptic_deeplab_R_52_os16_mg124_poly_90k_bs32_crop_512_1024_dsconv/23d03a",
                60.3,
                78.7,
            ),
        ),
    ),
    *published(
        "COCO 2017 panoptic",
        "PanopticDeepLab/COCO-PanopticSegmentation",
        ("pq",),
        (
            (
                panoptic_deeplab_r52_coco_separable,
                "",
                "panoptic_deeplab_R_52_os16_mg124_poly_200k_bs64_crop_640_640_coco_dsconv/5e6da2",
                35.5,
            ),
        ),
    ),
    *published(
        "COCO 2017",
        "Detectron1-Comparisons",
        ("box_ap",),
        (
            (
                detectron1_faster_rcnn_r50_fpn,
                "1x",
                "faster_rcnn_R_50_FPN_noaug_1x/137781054/7ab50c",
                36.9,
            ),
        ),
    ),
    *published(
        "COCO 2017",
        "Detectron1-Comparisons",
        ("box_ap", "mask_ap"),
        (
            (
                detectron1_mask_rcnn_r50_fpn,
                "1x",
                "mask_rcnn_R_50_FPN_noaug_1x/137781281/62ca52",
                37.8,
                34.9,
            ),
        ),
    ),
    *published(
        "COCO 2017 persons",
        "Detectron1-Comparisons",
        ("box_ap", "keypoint_ap"),
        (
            (
                detectron1_keypoint_rcnn_r50_fpn,
                "1x",
                "keypoint_rcnn_R_50_FPN_1x/137781195/cce136",
                53.1,
                64.2,
            ),
        ),
    ),
)
