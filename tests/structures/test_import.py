"""What `import geodet` pulls in."""

import subprocess
import sys

import geodet

OPTIONAL = (
    "PIL", "torchvision", "cattrs", "hypothesis", "scipy", "safetensors", "tensorboard", "rich",
    "pycocotools", "shapely", "matplotlib", "cv2", "torch._dynamo",
)  # fmt: skip


def test_importing_geodet_pulls_in_nothing_optional():
    """A fresh interpreter has torch, numpy and attrs afterwards, and nothing else of ours."""
    program = f"""
import sys, torch
before = set(sys.modules)
import geodet
new = {{name.split('.')[0] for name in set(sys.modules) - before}}
print(sorted(name for name in {OPTIONAL!r} if name in sys.modules and name not in before))
print(sorted(new - set(sys.stdlib_module_names) - {{'geodet', 'attr', 'attrs', 'numpy', 'torch'}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_every_public_name_is_there():
    """Each name of __all__ can be imported, once, in order; errors and structures alike."""
    assert len(set(geodet.__all__)) == len(geodet.__all__)
    for name in geodet.__all__:
        assert getattr(geodet, name).__name__ == name
