"""ImageNet weights of torchvision: files, downloads, and what does not fit."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models._api import Weights, WeightsEnum

from geodet.errors import CheckpointError
from geodet.models import FPN, FrozenBatchNorm2d, group_norm, load_imagenet, resnet
from geodet.models.backbones import RegNetStageSize, convnext, regnet, swin, vit
from geodet.weights import write_tensors


def _saved(peer, folder):
    path = folder / "classifier.pth"
    torch.save(peer.state_dict(), path)
    return path


def _with_statistics(peer):
    """Batch norms as after training."""
    for module in peer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return peer.eval()


@pytest.mark.parametrize("norm", [FrozenBatchNorm2d, nn.BatchNorm2d])
def test_resnet_computes_what_the_classifier_does(tmp_path, norm):
    """The last map is what the classifier averages; all of the trunk was loaded."""
    torch.manual_seed(0)
    peer = _with_statistics(torchvision.models.resnet18(weights=None))
    trunk = resnet(18, norm=norm).eval()
    report = load_imagenet(trunk, _saved(peer, tmp_path))
    assert set(report.loaded) == set(trunk.state_dict())
    assert {"fc.weight", "fc.bias"} <= set(report.ignored)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        pooled = trunk(image)["res5"].mean((2, 3))
        torch.testing.assert_close(peer.fc(pooled), peer(image), rtol=1e-3, atol=1e-3)


def test_regnet_computes_what_the_classifier_does(tmp_path):
    """RegNetY, squeeze and excitation included."""
    torch.manual_seed(0)
    peer = _with_statistics(torchvision.models.regnet_y_400mf(weights=None))
    sizes = [
        RegNetStageSize(num_blocks=depth, channels=width, bottleneck_channels=width, group_width=8)
        for depth, width in ((1, 48), (3, 104), (6, 208), (6, 440))
    ]
    trunk = regnet(sizes, se_ratio=0.25)
    load_imagenet(trunk, _saved(peer, tmp_path))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        pooled = trunk(image)["s4"].mean((2, 3))
        torch.testing.assert_close(peer.fc(pooled), peer(image), rtol=1e-3, atol=1e-3)


def test_convnext_computes_what_the_classifier_does(tmp_path):
    """Norms of the outputs, which the classifier has not, stay as they were."""
    torch.manual_seed(0)
    config = torchvision.models.convnext.CNBlockConfig
    settings = [config(8, 12, 1), config(12, 16, 2), config(16, None, 1)]
    peer = torchvision.models.ConvNeXt(settings, layer_scale=0.5).eval()
    trunk = convnext(num_blocks=(1, 2, 1), channels=(8, 12, 16), out_features=("s1", "s3"))
    report = load_imagenet(trunk, _saved(peer, tmp_path))
    left = set(trunk.state_dict()) - set(report.loaded)
    assert left == {f"norms.{name}.{leaf}" for name in ("s1", "s3") for leaf in ("weight", "bias")}
    assert "4 tensors" in report.notes[0]
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        wanted = trunk.norms["s3"](peer.features(image))
        torch.testing.assert_close(trunk(image)["s3"], wanted, rtol=1e-4, atol=1e-5)


def test_swin_computes_what_the_classifier_does(tmp_path):
    """On maps larger than a window, where both shift them alike."""
    torch.manual_seed(0)
    peer = torchvision.models.swin_transformer.SwinTransformer(
        patch_size=[4, 4], embed_dim=8, depths=[2, 2], num_heads=[1, 2], window_size=[4, 4]
    ).eval()
    trunk = swin(
        channels=8,
        depths=(2, 2),
        num_heads=(1, 2),
        window_side=4,
        norm=partial(nn.LayerNorm, eps=1e-5),
        out_features=("scale2", "scale3"),
    ).eval()
    load_imagenet(trunk, _saved(peer, tmp_path))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        rows = peer.features(image)
        wanted = nn.functional.layer_norm(rows, rows.shape[-1:]).permute(0, 3, 1, 2)
        torch.testing.assert_close(trunk(image)["scale3"], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("old", [False, True])
def test_vit_computes_what_the_classifier_does(tmp_path, old):
    """Without its class token; relative positions, which it has not, start at zero."""
    torch.manual_seed(0)
    peer = torchvision.models.VisionTransformer(
        image_size=64, patch_size=16, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=64
    ).eval()
    nn.init.normal_(peer.encoder.pos_embedding)
    state = peer.state_dict()
    if old:  # as its published files have it
        renamed = {".mlp.0.": ".mlp.linear_1.", ".mlp.3.": ".mlp.linear_2."}
        for new, before in renamed.items():
            state = {name.replace(new, before): value for name, value in state.items()}
    torch.save(state, tmp_path / "classifier.pth")
    trunk = vit(
        channels=16, depth=2, num_heads=2, global_blocks=(0, 1), image_side=64, position_side=4
    ).eval()
    report = load_imagenet(trunk, tmp_path / "classifier.pth")
    left = set(trunk.state_dict()) - set(report.loaded)
    assert left == {f"blocks.{i}.attn.rel_pos_{axis}" for i in (0, 1) for axis in "hw"}
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        tokens = peer.conv_proj(image).flatten(2).transpose(1, 2)
        wanted = peer.encoder.layers(tokens + peer.encoder.pos_embedding[:, 1:])
        got = trunk(image)["last_feat"].flatten(2).transpose(1, 2)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_shorter_trunks_leave_later_stages_out(tmp_path):
    """C4 models end at res4."""
    peer = torchvision.models.resnet18(weights=None)
    trunk = resnet(18, out_features=("res4",))
    report = load_imagenet(trunk, _saved(peer, tmp_path))
    assert "layer4.0.conv1.weight" in report.ignored
    assert torch.equal(trunk.res4[0].conv1.weight, peer.layer3[0].conv1.weight)


def test_deformable_stages_take_the_weights_of_ordinary_ones(tmp_path):
    """Their offsets stay zero."""
    peer = torchvision.models.resnet50(weights=None)
    trunk = resnet(50, deform_stages=("res5",))
    report = load_imagenet(trunk, _saved(peer, tmp_path))
    assert torch.equal(trunk.res5[1].conv2.weight, peer.layer4[1].conv2.weight)
    assert not trunk.res5[1].conv2_offset.weight.any()
    assert not any("offset" in name for name in report.loaded)


def test_safetensors_and_older_files_load_too(tmp_path):
    """Old files have no step counters; some keep the weights under "state_dict"."""
    peer = torchvision.models.resnet18(weights=None)
    state = {key: v for key, v in peer.state_dict().items() if "num_batches" not in key}
    write_tensors(tmp_path / "a.safetensors", state)
    torch.save({"state_dict": state}, tmp_path / "b.pth")
    for file in ("a.safetensors", "b.pth"):
        trunk = resnet(18, norm=nn.BatchNorm2d)
        load_imagenet(trunk, str(tmp_path / file))
        assert torch.equal(trunk.stem.conv1.weight, peer.conv1.weight)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A resnet18 on a local server, and a function from file name to its weights entry."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "served"
    folder.mkdir()
    peer = torchvision.models.resnet18(weights=None)
    path = _saved(peer, folder)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def entry(base, name):
        (folder / name).write_bytes(path.read_bytes())

        class Local(WeightsEnum):
            V1 = Weights(url=f"{base}/{name}", transforms=nn.Identity, meta={})

        monkeypatch.setattr(torchvision.models, "get_weight", lambda _name: Local.V1)

    yield peer, digest, entry, f"http://127.0.0.1:{server.server_port}", folder.as_uri()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("kind", ["http", "file"])
def test_names_are_downloaded_by_torchvision(served, kind):
    """Over HTTP and from a file URL, checked against the digest in the file's name."""
    peer, digest, entry, http, file = served
    entry(http if kind == "http" else file, f"resnet18-{digest}.pth")
    trunk = resnet(18)
    report = load_imagenet(trunk, "ResNet18_Weights.IMAGENET1K_V1", progress=False)
    assert report.source == "ResNet18_Weights.IMAGENET1K_V1"
    assert torch.equal(trunk.res5[1].conv2.weight, peer.layer4[1].conv2.weight)


def test_damaged_downloads_and_absent_files_change_nothing(served):
    """A wrong digest, a file that is not there."""
    _, digest, entry, http, _ = served
    trunk = resnet(18)
    before = trunk.stem.conv1.weight.clone()
    entry(http, "resnet18-00000000.pth")
    with pytest.raises(CheckpointError, match=r"ResNet18.*resnet18-00000000.*hash"):
        load_imagenet(trunk, "ResNet18_Weights.IMAGENET1K_V1", progress=False)
    entry(f"{http}/nowhere", f"resnet18-{digest}.pth")
    with pytest.raises(CheckpointError, match="404"):
        load_imagenet(trunk, "ResNet18_Weights.IMAGENET1K_V1", progress=False)
    assert torch.equal(trunk.stem.conv1.weight, before)


def test_unknown_names_are_told():
    """With an example of a known one."""
    for name in ("ResNet18_Weights.IMAGENET9K", "resnet18", "Nothing_Weights.V1"):
        with pytest.raises(CheckpointError, match=r"ResNet50_Weights\.IMAGENET1K_V2"):
            load_imagenet(resnet(18, width=8), name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: resnet(34), r"res2\.2"),
        (lambda: resnet(18, width=32), "64"),
        (lambda: resnet(18, norm=group_norm()), "running_mean"),
        (lambda: resnet(18, deep_stem=True, stem_channels=64), "stem"),
    ],
)
def test_another_architecture_is_refused_with_a_table(tmp_path, make, message):
    """Nothing is loaded."""
    trunk = make()
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_imagenet(trunk, _saved(torchvision.models.resnet18(weights=None), tmp_path))
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())


def test_stride_in_the_first_1x1_is_refused(tmp_path):
    """All shapes would fit, and every map come out a little wrong."""
    with pytest.raises(CheckpointError, match="stride_in_1x1=False"):
        load_imagenet(resnet(50, width=8, stride_in_1x1=True), tmp_path / "any.pth")


def test_only_backbones_are_taken():
    """The message tells where a pyramid keeps its own."""
    with pytest.raises(CheckpointError, match="FPN; give it `bottom_up`"):
        load_imagenet(FPN(resnet(18, width=8), channels=8), "any.pth")
