"""Proposals alone, and detectors that start from proposals of others."""

import pytest
import torch

from geodet.errors import CompositionError, DtypeError, InvalidValueError, ShapeError
from geodet.models import RCNN, ROTATED, GivenProposals, ProposalNetwork, fast_rcnn_fpn, rpn_fpn
from geodet.models.heads import Proposals, RoiPooler
from geodet.structures import Boxes, ImageSize, Instances, RotatedBoxes

LOGITS = "objectness_logits"


@pytest.fixture
def network(tiny_mask_rcnn):
    """RPN and backbone of a small detector."""
    model = tiny_mask_rcnn()
    return ProposalNetwork(
        preprocess=model.preprocess, backbone=model.backbone, proposals=model.proposals
    )


def _table(rows, size=(64, 64), **columns):
    boxes = Boxes(torch.tensor(rows, dtype=torch.float32).reshape(-1, 4))
    return Instances(ImageSize(*size), boxes=boxes, **columns)


def test_proposals_are_boxes_with_scores_and_logits(network):
    """Inside their own image, best first; scores are the sigmoid of the logits."""
    sizes = [ImageSize(50, 64), ImageSize(40, 33)]
    images = [torch.randint(0, 256, (3, *size.as_tuple()), dtype=torch.uint8) for size in sizes]
    with torch.no_grad():
        found = network(images)
    for size, table in zip(sizes, found, strict=True):
        assert table.image_size == size
        assert 0 < len(table) <= 50
        table.boxes.validated(size=size)
        assert table.boxes.nonempty().all()
        assert (table.scores.diff() <= 0).all()
        assert torch.equal(table.scores, table.extras[LOGITS].sigmoid())
        assert table.labels is None


def test_proposals_alone_learn_without_labels(network, pictures):
    """The two losses of the first stage, from boxes; a gradient for every parameter."""
    images, targets = pictures
    bare = [target.with_(labels=None, masks=None) for target in targets]
    torch.manual_seed(0)
    losses = network(images, bare)
    assert set(losses) == {"rpn_objectness", "rpn_boxes"}
    assert network.counts["rpn_positive"] > 0
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in network.parameters())
    torch.manual_seed(0)
    again = network(images, targets)
    assert all(torch.equal(losses[name], again[name]) for name in losses)


def test_fast_rcnn_on_the_proposals_of_an_rpn_is_faster_rcnn(tiny_mask_rcnn, network, pictures):
    """The same parts, with the proposals passed by the user: the very same detections."""
    model = tiny_mask_rcnn(score_threshold=0.0).eval()
    fast = RCNN(
        preprocess=model.preprocess,
        backbone=model.backbone,
        proposals=GivenProposals(),
        box_head=model.box_head,
        mask_head=model.mask_head,
    )
    images, _ = pictures
    with torch.no_grad():
        for table, wanted in zip(
            fast(images, proposals=network(images)), model(images), strict=True
        ):
            assert len(wanted) > 0
            assert table.equal(wanted)


def test_fast_rcnn_learns_from_given_proposals(pictures):
    """Two losses; the second stage and the backbone get gradients."""
    torch.manual_seed(0)
    model = fast_rcnn_fpn(
        num_classes=2, depth=18, width=8, fpn_channels=16, box_features=(16,), freeze_at=0
    )
    images, targets = pictures
    proposals = [
        _table([[5, 5, 33, 42], [0, 0, 20, 20]], scores=torch.tensor([0.5, 0.9])),
        _table([]),
    ]
    losses = model(images, targets, proposals=proposals)
    assert set(losses) == {"box_classes", "box_deltas"}
    assert model.counts["box_foreground"] >= 3  # the ground truth joins in
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters())
    found = model(images, proposals=proposals)
    assert len(found[1]) == 0


def test_given_proposals_are_cut_ranked_and_counted():
    """Best by logit, ties in order; what is empty, small or broken goes."""
    stage = GivenProposals(train_count=3, test_count=2, min_size=1.0)
    boxes = torch.tensor(
        [
            [-5.0, 2, 30, 90],
            [10, 10, 20, 20],
            [70, 0, 90, 20],
            [1, 1, 2, 9],
            [3, 3, 9, 9],
            [torch.nan, 0, 9, 9],
        ]
    )
    given = [Proposals(boxes, torch.tensor([1.0, 3, 9, 9, 1, 9]))]
    (kept,) = stage.propose({}, [ImageSize(50, 60)], given=given)
    assert kept.boxes.tolist() == [[10, 10, 20, 20], [0, 2, 30, 50]]
    trained = stage.learn({}, [ImageSize(50, 60)], [torch.zeros(0, 4)], given=given)
    assert trained.proposals[0].boxes[2].tolist() == [3, 3, 9, 9]
    assert trained.losses == {}


def test_proposals_rank_by_logits_then_scores_then_order(tiny_mask_rcnn):
    """What the tables have decides."""
    model = _fast(tiny_mask_rcnn, test_count=1)
    rows = [[0, 0, 30, 30], [20, 20, 60, 60], [10, 0, 60, 30]]
    seen = []
    model.box_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1][0, 1:]))
    image = [torch.zeros(3, 64, 64, dtype=torch.uint8)]
    scores = torch.tensor([0.1, 1.0, 0.5])
    for columns, wanted in (
        ({"scores": scores, "extras": {LOGITS: torch.tensor([0.0, 1.0, 5.0])}}, 2),
        ({"scores": scores}, 1),
        ({}, 0),
    ):
        model(image, proposals=[_table(rows, **columns)])
        assert seen[-1].tolist() == rows[wanted]


def _fast(tiny_mask_rcnn, **options):
    model = tiny_mask_rcnn()
    return RCNN(
        preprocess=model.preprocess,
        backbone=model.backbone,
        proposals=GivenProposals(**options),
        box_head=model.box_head,
    )


@pytest.mark.parametrize(
    ("proposals", "error", "message"),
    [
        (None, InvalidValueError, "expected boxes for every image, got None"),
        ([], ShapeError, "expected 1, one per image, got 0"),
        ([_table([[0, 0, 1, 1]], size=(64, 65))], ShapeError, r"proposals\[0\].*images\[0\]"),
        (
            [Instances(ImageSize(64, 64), boxes=RotatedBoxes(torch.ones(1, 5)))],
            DtypeError,
            r"proposals\[0\]\.boxes: the model takes Boxes, got RotatedBoxes",
        ),
        (
            [_table([[0, 0, 9, 9]], extras={LOGITS: torch.zeros(1, 1)})],
            DtypeError,
            r"proposals\[0\]\.extras",
        ),
    ],
)
def test_wrong_proposals_are_named_by_position(tiny_mask_rcnn, proposals, error, message):
    """Missing, of another number, size or kind."""
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    with pytest.raises(error, match=message):
        _fast(tiny_mask_rcnn)([image], proposals=proposals)


def test_detectors_that_propose_take_no_proposals(tiny_mask_rcnn):
    """Silently ignoring them would be worse."""
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    with pytest.raises(InvalidValueError, match="RPN makes its own"):
        tiny_mask_rcnn()([image], proposals=[_table([])])


def test_kinds_of_stages_must_agree(tiny_mask_rcnn):
    """Rotated proposals need a rotated second stage, and the message says so."""
    message = r"GivenProposals proposes RotatedBoxes, BoxHead takes Boxes"
    with pytest.raises(CompositionError, match=message):
        _fast(tiny_mask_rcnn, kind=ROTATED)
    with pytest.raises(CompositionError, match="train_count >= 1"):
        GivenProposals(train_count=0)


def test_the_family_of_proposal_networks_builds():
    """All numbers are keywords."""
    with torch.device("meta"):
        model = rpn_fpn(depth=18, anchor_sizes=(8, 16, 32, 64, 128), test_proposals=(500, 200))
    assert model.proposals.test_budget.after_nms == 200


def test_regions_outside_the_maps_pool_to_finite_numbers():
    """No memory outside is read, whatever a proposal says: far away is zero, not garbage."""
    features = {"p2": torch.rand(1, 2, 8, 8) + 1}
    for kind, rows in (
        (RoiPooler({"p2": 4}, output_side=3).kind, [[-1e6, -1e6, -9e5, -9e5], [1e4] * 4]),
        (ROTATED, [[1e6, 1e6, 50, 20, 30], [-300, 10, 8, 8, -120]]),
    ):
        rois = torch.tensor([[0.0, *row] for row in rows])
        pooled = RoiPooler({"p2": 4}, output_side=3, kind=kind)(features, rois)
        assert not pooled.any()
    partly = torch.tensor([[0.0, -40, -40, 16, 16]])
    pooled = RoiPooler({"p2": 4}, output_side=3)(features, partly)
    assert (pooled[0, :, 2, 2] >= 1).all()
    assert not pooled[0, :, 0, 0].any()
