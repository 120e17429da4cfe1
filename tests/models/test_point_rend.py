"""PointRend: where it looks, what it reads there, and how it renders masks."""

import pytest
import torch
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.box_kinds import ROTATED, UPRIGHT
from geodet.models.heads import (
    CoarseMaskHead,
    PointHead,
    PointPooler,
    PointRendMaskHead,
    Regions,
)
from geodet.models.heads.point_sampling import (
    grid_points,
    mask_values,
    region_features,
    sample_maps,
    uncertain_cells,
    uncertain_points,
)
from geodet.structures import BitMasks, Boxes, ImageSize, RoiMasks, RotatedBoxes


def head(*, kind=UPRIGHT, **changes):
    """Coarse masks of 3 x 3 for two classes, rendered at 24 x 24."""
    torch.manual_seed(0)
    options = {
        "pooler": PointPooler({"p2": 4}, output_side=6, kind=kind),
        "coarse_head": CoarseMaskHead(
            5, in_side=6, num_masks=2, side=3, conv_channels=4, fc_features=(8,)
        ),
        "point_head": PointHead(5, num_classes=2, channels=(6, 6)),
        "in_channels": 5,
        "num_classes": 2,
        "train_points": 20,
        "subdivision_steps": 3,
        "subdivision_points": 50,
    }
    return PointRendMaskHead(**{**options, **changes})


def scene(kind=UPRIGHT):
    """Two images, three regions in them, and masks of their objects."""
    generator = torch.Generator().manual_seed(1)
    features = {"p2": torch.randn(2, 5, 16, 16, generator=generator)}
    boxes = torch.tensor([[4.0, 4, 40, 44], [10, 8, 30, 60], [20, 20, 60, 50]])
    if kind == ROTATED:
        boxes = RotatedBoxes.from_boxes(Boxes(boxes)).cxcywha
    rois = torch.cat([torch.tensor([[0.0], [0.0], [1.0]]), boxes], dim=1)
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, 10:40, 8:36] = True
    masks[1, 20:50, 12:28] = True
    regions = Regions(features, rois, torch.tensor([0, 1, 1]))
    return regions, [BitMasks(masks), BitMasks(masks[1:])], torch.tensor([1, 0, 0])


def test_points_of_regions_are_places_of_the_image():
    """Shares of the sides lead to the pixels that both kinds of boxes say."""
    shares = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.25, 0.75]]])
    upright = UPRIGHT.places(torch.tensor([[10.0, 20, 50, 40]]), shares)
    assert upright.tolist() == [[[10.0, 20.0], [50.0, 20.0], [20.0, 35.0]]]
    box = torch.tensor([[30.0, 30, 40, 20, 25.0]])
    turned = ROTATED.places(box, shares[:, :2])
    torch.testing.assert_close(turned, RotatedBoxes(box).corners()[:, :2])


@pytest.mark.parametrize("kind", [UPRIGHT, ROTATED])
def test_features_are_read_where_the_points_are(kind):
    """A map that holds its own coordinates gives the points back, away from its border."""
    steps = torch.arange(16) * 4 + 2.0
    maps = torch.stack([steps.expand(16, 16), steps[:, None].expand(16, 16)])
    features = {"p2": torch.stack([maps, maps + 1000])}
    rois = scene(kind)[0].rois
    if kind == ROTATED:
        rois[:, 5] = torch.tensor([30.0, 0.0, -20.0])
        rois[:, 3:5] *= 0.8
    points = torch.rand(3, 7, 2, generator=torch.Generator().manual_seed(2))
    found = region_features(features, {"p2": 4}, rois, points, kind=kind)
    expected = kind.places(rois[:, 1:], points).transpose(1, 2)
    expected = expected + 1000 * rois[:, :1, None]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-3)


def test_a_pooled_region_is_sampled_once_per_cell():
    """As RoIAlign with one sample a cell, where no sample is near the border of the map."""
    roi_align = pytest.importorskip("torchvision.ops").roi_align
    regions, _, _ = scene()
    pooled = PointPooler({"p2": 4}, output_side=6)(regions.features, regions.rois)
    expected = roi_align(
        regions.features["p2"], regions.rois, 6, spatial_scale=0.25, sampling_ratio=1, aligned=True
    )
    torch.testing.assert_close(pooled, expected, rtol=1e-4, atol=1e-5)


def test_training_points_prefer_what_is_undecided():
    """Three quarters lie where logits are nearest to 0 among all that are drawn."""
    steps = torch.linspace(-8, 8, 64)
    logits = steps.expand(2, 1, 64, 64).contiguous()
    torch.manual_seed(0)
    points = uncertain_points(
        logits, lambda values: -values[:, 0].abs(), count=400, oversampling=3.0, importance=0.75
    )
    assert points.shape == (2, 400, 2)
    assert (points >= 0).all()
    assert (points <= 1).all()
    certainty = sample_maps(logits, points)[:, 0].abs()
    # 300 of 1200 lie in the middle quarter; the others are spread over what is left
    assert certainty[:, :300].max() < 2.6
    assert certainty[:, 300:].min() > 1.4
    assert certainty[:, 300:].mean() > 4
    none = uncertain_points(
        logits[:0], lambda values: values[:, 0], count=4, oversampling=3.0, importance=0.5
    )
    assert none.shape == (0, 4, 2)


def test_uncertain_cells_are_the_largest_values_of_the_grid():
    """Indices, and the centres of those cells as shares."""
    values = torch.zeros(1, 3, 4)
    values[0, 2, 1], values[0, 0, 3] = 5.0, 4.0
    cells, points = uncertain_cells(values, 2)
    assert cells.tolist() == [[9, 3]]
    torch.testing.assert_close(points[0], torch.tensor([[1.5 / 4, 2.5 / 3], [3.5 / 4, 0.5 / 3]]))
    assert uncertain_cells(values, 100)[0].shape == (1, 12)


def test_true_masks_are_read_between_pixel_centres():
    """Equal to torch's sampler on the whole masks, for the region's own object."""
    regions, truth, rows = scene()
    points = torch.rand(3, 30, 2, generator=torch.Generator().manual_seed(3))
    found = mask_values(truth, rows, regions.rois, points, kind=UPRIGHT)
    own = torch.stack([truth[0].data[1], truth[0].data[0], truth[1].data[0]])[:, None].float()
    places = UPRIGHT.places(regions.rois[:, 1:], points) / 64
    torch.testing.assert_close(found, sample_maps(own, places)[:, 0])
    runs = [masks.to_rle_masks() for masks in truth]
    assert torch.equal(mask_values(runs, rows, regions.rois, points, kind=UPRIGHT), found)
    assert (mask_values([None, None], rows, regions.rois, points, kind=UPRIGHT) == 0).all()


def test_rendering_is_the_subdivision_of_the_paper():
    """Written out with all classes and without the shortcut for grids that are redone anyway."""
    model = head().eval()
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(3)  # logits far enough apart to order
        regions, _, _ = scene()
        coarse = model.coarse_head(model.read(regions))
        logits = functional.interpolate(coarse, size=(3, 3), mode="bilinear")
        rows = torch.arange(3)
        for step in range(4):
            if step:
                logits = functional.interpolate(
                    logits, scale_factor=2, mode="bilinear", align_corners=False
                )
            side = logits.shape[-1]
            order = (-logits[rows, regions.labels].abs()).flatten(1).argsort(1, descending=True)
            cells = order[:, : min(50, side * side)]
            points = grid_points(side, device=coarse.device)[cells]
            anew = model.point_head(
                region_features(regions.features, {"p2": 4}, regions.rois, points, kind=UPRIGHT),
                sample_maps(coarse, points),
            )
            flat = logits.flatten(2).scatter(2, cells[:, None].expand(-1, 2, -1), anew)
            logits = flat.unflatten(2, (side, side))
        found = model.predict(regions)
    assert found.shape == (3, 24, 24)
    assert model.side == 24
    expected = logits[rows, regions.labels].sigmoid()
    # a cell at the edge of the budget may be chosen or not by rounding
    assert ((found - expected).abs() < 1e-5).float().mean() > 0.99


@pytest.mark.parametrize("kind", [UPRIGHT, ROTATED])
def test_losses_reach_every_parameter(kind):
    """Coarse cells and points; no region gives zeros with gradients."""
    model, (regions, truth, rows) = head(kind=kind), scene(kind)
    losses = model.losses(regions, truth, rows)
    assert set(losses) == {"masks", "mask_points"}
    sum(losses.values()).backward()
    assert all(value.grad.abs().sum() > 0 for value in model.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        assert all(loss.isfinite() for loss in model.losses(regions, truth, rows).values())
    model.zero_grad()
    none = Regions(regions.features, regions.rois[:0], regions.labels[:0])
    losses = model.losses(none, truth, rows[:0])
    assert all(loss == 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(value.grad is not None for value in model.parameters())
    predicted = model.predict(none)
    assert predicted.shape == (0, 24, 24)
    size = ImageSize(64, 64)
    assert isinstance(model.column(predicted, kind.wrap(none.rois[:, 1:]), size), RoiMasks)


def test_the_loss_of_points_is_mean_cross_entropy_of_the_own_class():
    """Points drawn with one seed, classified by hand."""
    model, (regions, truth, rows) = head(), scene()
    torch.manual_seed(5)
    found = model.losses(regions, truth, rows)
    torch.manual_seed(5)
    coarse = model.coarse_head(model.read(regions))
    own = coarse[torch.arange(3), regions.labels][:, None]
    points = uncertain_points(
        own.detach(), lambda v: -v[:, 0].abs(), count=20, oversampling=3.0, importance=0.75
    )
    fine = region_features(regions.features, {"p2": 4}, regions.rois, points, kind=UPRIGHT)
    logits = model.point_head(fine, sample_maps(coarse, points))
    logits = logits[torch.arange(3), regions.labels]
    wanted = mask_values(truth, rows, regions.rois, points, kind=UPRIGHT)
    expected = functional.binary_cross_entropy_with_logits(logits, wanted)
    torch.testing.assert_close(found["mask_points"], expected)


def test_a_point_head_learns_a_disc_sharper_than_its_coarse_mask():
    """Trained on one disc, the rendered mask is nearer to it than the coarse one."""
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    disc = ((x - 32) ** 2 + (y - 32) ** 2 < 20**2)[None]
    cells = (torch.arange(16) * 4 + 2.0) / 32 - 1
    maps = torch.zeros(1, 5, 16, 16)
    maps[0, 0], maps[0, 1] = cells.expand(16, 16), cells[:, None].expand(16, 16)
    maps[0, 2:4] = maps[0, :2] ** 2
    regions = Regions({"p2": maps}, torch.tensor([[0.0, 8, 8, 56, 56]]), torch.tensor([0]))
    torch.manual_seed(0)
    model = head(point_head=PointHead(5, num_classes=2, channels=(16, 16)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(120):
        loss = sum(model.losses(regions, [BitMasks(disc)], torch.tensor([0])).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        fine = model.predict(regions)
        coarse = model.coarse_head(model.read(regions))[:, 0].sigmoid()
    boxes, size = Boxes(regions.rois[:, 1:]), ImageSize(64, 64)
    truth = BitMasks(disc).to_rle_masks()
    rendered, rough = (
        float(RoiMasks(grid, boxes, size).to_rle_masks().pairwise_iou(truth))
        for grid in (fine, coarse)
    )
    assert rendered > 0.93
    assert rendered > rough


def test_parts_that_do_not_fit_are_refused():
    """Channels, classes and numbers, each with both sides named."""
    with pytest.raises(CompositionError, match="PointHead expects 4 channels"):
        head(point_head=PointHead(4, num_classes=2))
    with pytest.raises(CompositionError, match="CoarseMaskHead makes 2 masks, PointHead reads 3"):
        head(point_head=PointHead(5, num_classes=3))
    with pytest.raises(CompositionError, match="num_classes=4, CoarseMaskHead makes 2 masks"):
        head(num_classes=4)
    with pytest.raises(CompositionError, match="oversampling >= 1"):
        head(oversampling=0.5)
    with pytest.raises(CompositionError, match="even in_side"):
        CoarseMaskHead(5, in_side=7, num_masks=2)
    with pytest.raises(CompositionError, match="at least one map"):
        PointPooler({}, output_side=4)
