"""Transformers beside torchvision's and timm's, and attention beside its formula.

python benchmarks/transformers.py
"""

import argparse
import tempfile
from collections.abc import Iterator
from typing import cast

import torch
from timing import OURS, Comparison, check, header, median_ms, rows, setting
from timm.models.vision_transformer_sam import VisionTransformerSAM
from torch import Tensor, nn
from torchvision.models import swin_t

from geodet.models import load_imagenet, swin, vit
from geodet.models.layers import attend


def _written_out(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    logits = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-2, -1) + bias
    return logits.softmax(dim=-1) @ values


def _close(ours: object, theirs: object) -> bool:
    return torch.allclose(cast(Tensor, ours), cast(Tensor, theirs), rtol=1e-3, atol=1e-3)


def _attention() -> Iterator[Comparison]:
    for name, windows, heads, tokens in (
        ("attention, 25 windows of 14 x 14", 25, 12, 196),
        ("attention, global, 64 x 64", 1, 3, 4096),
    ):
        q, k, v = (torch.randn(windows, heads, tokens, 64) for _ in range(3))
        bias = torch.randn(windows, heads, tokens, tokens)
        yield Comparison(
            name=name,
            ways={
                OURS: lambda q=q, k=k, v=v, bias=bias: attend(q, k, v, bias),
                "formula": lambda q=q, k=k, v=v, bias=bias: _written_out(q, k, v, bias),
            },
            agree=_close,
        )


def _swin(folder: str) -> Comparison:
    peer = swin_t(weights=None).eval()
    torch.save(peer.state_dict(), f"{folder}/swin_t.pth")
    ours = swin(drop_path=0.0, out_features=("scale5",)).eval()
    load_imagenet(ours, f"{folder}/swin_t.pth")
    images = torch.randn(1, 3, 448, 448)

    def theirs() -> Tensor:
        return peer.norm(peer.features(images)).permute(0, 3, 1, 2)

    return Comparison(
        name="swin_t, 448 x 448",
        ways={OURS: lambda: ours(images)["scale5"], "torchvision": theirs},
        agree=_close,
    )


def _vit() -> Comparison:
    peer = VisionTransformerSAM(
        img_size=512,
        depth=2,
        use_rel_pos=True,
        global_attn_indexes=(1,),
        neck_chans=0,
        num_classes=0,
    ).eval()
    ours = vit(
        depth=2,
        global_blocks=(1,),
        drop_path=0.0,
        image_side=512,
        position_side=32,
        class_token=False,
        norm=nn.LayerNorm,
    ).eval()
    weights = {k: v for k, v in peer.state_dict().items() if not k.startswith("neck.")}
    weights["pos_embed"] = weights["pos_embed"].flatten(1, 2)
    ours.load_state_dict(weights)
    images = torch.randn(1, 3, 512, 512)

    def theirs() -> Tensor:
        return peer.forward_intermediates(images, indices=[1], intermediates_only=True)[0]

    return Comparison(
        name="two blocks of ViT-B, 512 x 512",
        ways={OURS: lambda: ours(images)["last_feat"], "timm": theirs},
        agree=_close,
    )


def main() -> None:
    """Check, time and print every selected comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="torch threads, for all sides")
    parser.add_argument("--runs", type=int, default=7, help="rounds per comparison")
    parser.add_argument("--only", default="", help="part of a comparison's name")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(setting("torchvision", "timm"))
    print(f"medians of {arguments.runs} rounds, all ways of a line in turn in one process")
    print(header(), flush=True)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for comparison in (*_attention(), _swin(folder), _vit()):
            if arguments.only in comparison.name:
                check(comparison)
                for line in rows(comparison, median_ms(comparison, arguments.runs)):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
