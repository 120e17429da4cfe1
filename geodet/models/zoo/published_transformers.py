"""Published checkpoints of ViTDet, Swin and MViTv2."""

from geodet.models.zoo.mvit import (
    cascade_mask_rcnn_mvitv2_b,
    cascade_mask_rcnn_mvitv2_h,
    cascade_mask_rcnn_mvitv2_l,
    cascade_mask_rcnn_mvitv2_s,
    cascade_mask_rcnn_mvitv2_t,
    mask_rcnn_mvitv2_t,
)
from geodet.models.zoo.mvit_vitdet import (
    cascade_mask_rcnn_mvitv2_b_vitdet,
    cascade_mask_rcnn_mvitv2_b_vitdet_lvis,
    cascade_mask_rcnn_mvitv2_h_vitdet,
    cascade_mask_rcnn_mvitv2_h_vitdet_lvis,
    cascade_mask_rcnn_mvitv2_l_vitdet,
    cascade_mask_rcnn_mvitv2_l_vitdet_lvis,
)
from geodet.models.zoo.published_table import PublishedCheckpoint, published
from geodet.models.zoo.swin import (
    cascade_mask_rcnn_swin_b,
    cascade_mask_rcnn_swin_b_lvis,
    cascade_mask_rcnn_swin_l,
    cascade_mask_rcnn_swin_l_lvis,
)
from geodet.models.zoo.vitdet import (
    cascade_mask_rcnn_vitdet_b,
    cascade_mask_rcnn_vitdet_h,
    cascade_mask_rcnn_vitdet_l,
    mask_rcnn_vitdet_b,
    mask_rcnn_vitdet_h,
    mask_rcnn_vitdet_l,
)
from geodet.models.zoo.vitdet_lvis import (
    cascade_mask_rcnn_vitdet_b_lvis,
    cascade_mask_rcnn_vitdet_h_lvis,
    cascade_mask_rcnn_vitdet_l_lvis,
    mask_rcnn_vitdet_b_lvis,
    mask_rcnn_vitdet_h_lvis,
    mask_rcnn_vitdet_l_lvis,
)

__all__ = ["TRANSFORMERS"]

TRANSFORMERS: tuple[PublishedCheckpoint, ...] = (
    *published(
        "COCO 2017",
        "ViTDet/COCO",
        ("box_ap", "mask_ap"),
        (
            (mask_rcnn_vitdet_b, "100ep", "mask_rcnn_vitdet_b/f325346929/61ccd1", 51.6, 45.9),
            (mask_rcnn_vitdet_l, "100ep", "mask_rcnn_vitdet_l/f325599698/6146ed", 55.5, 49.2),
            (mask_rcnn_vitdet_h, "75ep", "mask_rcnn_vitdet_h/f329145471/7224f1", 56.7, 50.2),
            (
                cascade_mask_rcnn_swin_b,
                "50ep",
                "cascade_mask_rcnn_swin_b_in21k/f342979038/246a82",
                53.9,
                46.2,
            ),
            (
                cascade_mask_rcnn_swin_l,
                "50ep",
                "cascade_mask_rcnn_swin_l_in21k/f342979186/7c897e",
                55.0,
                47.2,
            ),
            (
                cascade_mask_rcnn_vitdet_b,
                "100ep",
                "cascade_mask_rcnn_vitdet_b/f325358525/435fa9",
                54.0,
                46.7,
            ),
            (
                cascade_mask_rcnn_vitdet_l,
                "100ep",
                "cascade_mask_rcnn_vitdet_l/f328021305/1a9f28",
                57.6,
                50.0,
            ),
            (
                cascade_mask_rcnn_vitdet_h,
                "75ep",
                "cascade_mask_rcnn_vitdet_h/f328730692/f05665",
                58.7,
                51.0,
            ),
            (
                cascade_mask_rcnn_mvitv2_b_vitdet,
                "100ep",
                "cascade_mask_rcnn_mvitv2_b_in21k/f325820315/8c3da3",
                55.6,
                48.1,
            ),
            (
                cascade_mask_rcnn_mvitv2_l_vitdet,
                "50ep",
                "cascade_mask_rcnn_mvitv2_l_in21k/f325607715/2141b0",
                55.7,
                48.3,
            ),
            (
                cascade_mask_rcnn_mvitv2_h_vitdet,
                "36ep",
                "cascade_mask_rcnn_mvitv2_h_in21k/f326187358/2234d7",
                55.9,
                48.3,
            ),
        ),
    ),
    *published(
        "LVIS 1.0",
        "ViTDet/LVIS",
        ("box_ap", "mask_ap"),
        (
            (mask_rcnn_vitdet_b_lvis, "100ep", "mask_rcnn_vitdet_b/329225748/5251c5", 40.2, 38.2),
            (mask_rcnn_vitdet_l_lvis, "100ep", "mask_rcnn_vitdet_l/329211570/021b3a", 46.1, 43.6),
            (mask_rcnn_vitdet_h_lvis, "100ep", "mask_rcnn_vitdet_h/332434656/866730", 49.1, 46.0),
            (
                cascade_mask_rcnn_vitdet_b_lvis,
                "100ep",
                "cascade_mask_rcnn_vitdet_b/329226874/df306f",
                43.0,
                38.9,
            ),
            (
                cascade_mask_rcnn_vitdet_l_lvis,
                "100ep",
                "cascade_mask_rcnn_vitdet_l/329042206/3e81c2",
                49.2,
                44.5,
            ),
            (
                cascade_mask_rcnn_vitdet_h_lvis,
                "100ep",
                "cascade_mask_rcnn_vitdet_h/332552778/11bbb7",
                51.5,
                46.6,
            ),
            (
                cascade_mask_rcnn_swin_b_lvis,
                "50ep",
                "cascade_mask_rcnn_swin_b_in21k/329222304/a3a348",
                44.0,
                39.6,
            ),
            (
                cascade_mask_rcnn_swin_l_lvis,
                "50ep",
                "cascade_mask_rcnn_swin_l_in21k/329222724/2b94db",
                46.0,
                41.4,
            ),
            (
                cascade_mask_rcnn_mvitv2_b_vitdet_lvis,
                "100ep",
                "cascade_mask_rcnn_mvitv2_b_in21k/329477206/a00567",
                46.3,
                42.0,
            ),
            (
                cascade_mask_rcnn_mvitv2_l_vitdet_lvis,
                "50ep",
                "cascade_mask_rcnn_mvitv2_l_in21k/329661552/7838a5",
                49.4,
                44.2,
            ),
            (
                cascade_mask_rcnn_mvitv2_h_vitdet_lvis,
                "50ep",
                "cascade_mask_rcnn_mvitv2_h_in21k/330445165/ad4220",
                49.5,
                44.1,
            ),
        ),
    ),
    *published(
        "COCO 2017",
        "MViTv2",
        ("box_ap", "mask_ap"),
        (
            (mask_rcnn_mvitv2_t, "3x", "mask_rcnn_mvitv2_t_3x/f307611773/1a1c30", 48.3, 43.8),
            (
                cascade_mask_rcnn_mvitv2_t,
                "3x",
                "cascade_mask_rcnn_mvitv2_t_3x/f308344828/c6967a",
                52.2,
                45.0,
            ),
            (
                cascade_mask_rcnn_mvitv2_s,
                "3x",
                "cascade_mask_rcnn_mvitv2_s_3x/f308344647/279baf",
                53.2,
                46.0,
            ),
            (
                cascade_mask_rcnn_mvitv2_b,
                "3x",
                "cascade_mask_rcnn_mvitv2_b_3x/f308109448/421a91",
                54.1,
                46.7,
            ),
            (
                cascade_mask_rcnn_mvitv2_b,
                "in21k_3x",
                "cascade_mask_rcnn_mvitv2_b_in12k_3x/f309003202/be5168",
                54.9,
                47.4,
            ),
            (
                cascade_mask_rcnn_mvitv2_l,
                "in21k_50ep",
                "cascade_mask_rcnn_mvitv2_l_in12k_lsj_50ep/f308099658/c41c5a",
                55.8,
                48.3,
            ),
            (
                cascade_mask_rcnn_mvitv2_h,
                "in21k_3x",
                "cascade_mask_rcnn_mvitv2_h_in12k_lsj_3x/f309013744/30d36b",
                56.1,
                48.5,
            ),
        ),
    ),
)
