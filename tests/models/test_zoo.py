"""Named sizes and published checkpoints: what fits what, and how weights get here."""

import hashlib
import http.server
import inspect
import json
import re
import threading

import attrs
import pytest
import torch

from geodet.errors import CheckpointError
from geodet.models import Preprocess, mask_rcnn_fpn, zoo
from geodet.models.published import DETECTRON2, published_names, save_detectron2
from geodet.models.zoo import PUBLISHED

SIZES = [name for name in zoo.__all__ if re.search(r"_[rx]\d|vitdet|swin|mvit|regnet", name)]

# Names of Detectron2's key lists -> ours.
KEY_LISTS = {
    "cascade_mask_rcnn_R_50_FPN": "cascade_mask_rcnn_r50_fpn",
    "faster_rcnn_R_50_C4": "faster_rcnn_r50_c4",
    "fcos_R_50_FPN": "fcos_r50_fpn",
    "keypoint_rcnn_R_50_FPN": "keypoint_rcnn_r50_fpn",
    "mask_rcnn_R_50_C4": "mask_rcnn_r50_c4",
    "mask_rcnn_R_50_DC5": "mask_rcnn_r50_dc5",
    "mask_rcnn_R_50_FPN": "mask_rcnn_r50_fpn",
    "mask_rcnn_R_50_FPN_dconv": "mask_rcnn_r50_fpn_dcn",
    "mask_rcnn_R_50_FPN_gn": "mask_rcnn_r50_fpn_gn",
    "mask_rcnn_R_50_LSJ": "mask_rcnn_r50_fpn_lsj",
    "mask_rcnn_X_101": "mask_rcnn_x101_fpn",
    "mask_rcnn_regnetx": "mask_rcnn_regnetx_4gf_fpn_lsj",
    "panoptic_fpn_R_50": "panoptic_fpn_r50",
    "retinanet_R_50_FPN": "retinanet_r50_fpn",
    "vitdet_b_mask": "mask_rcnn_vitdet_b",
}


def test_every_key_list_has_a_named_size(shared_dir):
    """None is left out below."""
    files = {
        path.name.removesuffix(".keys.json") for path in (shared_dir / "parity/keys").iterdir()
    }
    assert files == set(KEY_LISTS)


@pytest.mark.parametrize(("file", "name"), KEY_LISTS.items())
def test_tensors_fit_detectron2_one_to_one(shared_dir, file, name):
    """Every key of Detectron2 has one place, of the same shape, and none of ours is left."""
    keys = json.loads((shared_dir / f"parity/keys/{file}.keys.json").read_text())
    with torch.device("meta"):
        model = getattr(zoo, name)()
    names = published_names(model, DETECTRON2)
    ours = {
        names[key]: list(value.shape)
        for key, value in model.state_dict().items()
        if not key.endswith("normaliser.value")  # Detectron2 does not save it
    }
    counters = {key for key in keys if key.endswith("num_batches_tracked")}
    assert {key for key in ours if key.endswith("num_batches_tracked")} <= counters
    assert {key: shape for key, shape in keys.items() if key not in counters} == {
        key: shape for key, shape in ours.items() if key not in counters
    }


@pytest.mark.parametrize("name", SIZES)
def test_every_named_size_can_be_built(name):
    """Its parts fit each other, for any number of classes, and its pixels are described."""
    make = getattr(zoo, name)
    counts = [key for key in inspect.signature(make).parameters if key != "skeleton"]
    with torch.device("meta"):
        model = make(**dict.fromkeys(counts, 7))
    if counts == ["num_classes"]:
        assert model.num_classes == 7
    preprocess = next(part for part in model.modules() if isinstance(part, Preprocess))
    assert preprocess.short_edge in (640, 800, 1024)
    assert preprocess.max_long_edge in (640, 1024, 1333, 2048)


def test_the_published_table_is_whole():
    """Every name begins with its architecture's; addresses and checksums have their form."""
    assert len(PUBLISHED) >= 107
    for name, row in PUBLISHED.items():
        assert name == row.name
        assert getattr(zoo, row.architecture.__name__) is row.architecture
        assert name.startswith(row.architecture.__name__)
        assert re.fullmatch(r"[0-9a-f]{6}", row.md5_start), name
        assert row.url.startswith("https://dl.fbaipublicfiles.com/detectron2/")
        assert row.url.endswith(f"_{row.md5_start}.pkl")
        assert row.metrics
        assert all(10 < figure < 100 for figure in row.metrics.values())
        assert row.licence == "CC BY-SA 3.0"
    assert len({row.url for row in PUBLISHED.values()}) == len(PUBLISHED)
    row = PUBLISHED["mask_rcnn_r50_fpn_3x"]
    assert row.url.endswith(
        "/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/137849600/model_final_f10217.pkl"
    )
    assert row.metrics == {"box_ap": 41.0, "mask_ap": 37.2}


def _small():
    torch.manual_seed(0)
    return mask_rcnn_fpn(num_classes=2, width=8, fpn_channels=8, box_features=(8,), mask_convs=(8,))


class _Server(http.server.ThreadingHTTPServer):
    """Serves one file, and counts how often."""

    content = b""
    count = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.count += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A running server of one file."""
    with _Server(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_load_fetches_checks_and_loads(server, tmp_path, monkeypatch):
    """By name from a server into the cache, once; and a file put there by hand does as well."""
    model = _small()
    save_detectron2(model, tmp_path / "made.pkl")
    server.content = (tmp_path / "made.pkl").read_bytes()
    start = hashlib.md5(server.content, usedforsecurity=False).hexdigest()[:6]
    row = attrs.evolve(
        PUBLISHED["mask_rcnn_r50_fpn_3x"],
        architecture=_small,
        url=f"http://127.0.0.1:{server.server_port}/model_final_{start}.pkl",
        md5_start=start,
    )
    monkeypatch.setattr("geodet.models.zoo.loading.PUBLISHED", {"tiny_3x": row})
    seen = []
    for _ in range(2):
        loaded = zoo.load("tiny_3x", cache=tmp_path / "cache", progress=lambda *n: seen.append(n))
        assert not loaded.training
        for name, value in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value)
    assert server.count == 1
    assert seen[-1] == (len(server.content), len(server.content))
    assert (tmp_path / "cache" / "tiny_3x" / f"model_final_{start}.pkl").is_file()
    monkeypatch.setattr("geodet.models.zoo.loading.Path.home", lambda: tmp_path)
    by_hand = zoo.default_cache() / "tiny_3x"
    assert by_hand == tmp_path / ".cache" / "geodet" / "checkpoints" / "tiny_3x"
    by_hand.mkdir(parents=True)
    (by_hand / f"model_final_{start}.pkl").write_bytes(server.content)
    zoo.load("tiny_3x")
    assert server.count == 1


def test_an_unknown_name_gets_the_nearest_ones():
    """And nothing is fetched."""
    with pytest.raises(CheckpointError, match="did you mean mask_rcnn_r50_fpn_3x"):
        zoo.load("mask_rcnn_R50_fpn_3x")
