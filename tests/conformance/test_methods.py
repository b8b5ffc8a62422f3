"""Every method of this package keeps the contract; methods that break it are told how, promise by promise."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spf_bench.conformance.check import Outcome, Result
from tests.conformance.conftest import broken

Examine = Callable[..., dict[str, Result]]

ROOT = Path(__file__).parents[2]
METHODS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["spf_bench.methods"]
SMALL = {"lora": ["rank=2"], "adalora": ["target_r=2", "init_r=3", "warmup=0"]}
HEAD = "from spf_bench.method import Method\nimport torch\n"
X = HEAD + "class X(Method):\n    name, title, source = 'x', 'X', 'tests'\n"
TRAINS = "    trains = True\n    def config(self, preset):\n        return {}\n"
EMBED = "    def embed(self, backbone, triples):\n        full = super().embed(backbone, triples)\n"
SAMPLE = "    def sample(self, backbone, triples, noise):\n"
LOAD = "    def load(self, backbone, checkpoint):\n"
WRITE = "(folder / 'w').write_text('1') and {}"
TWICE = (
    "    def train(self, job):\n"
    "        name = f'x{len(job.artifacts.used)}'\n"
    f"        return job.artifacts.get(name, {{}}, lambda folder: {WRITE})\n"
)
SEEDED = "[torch.randn(full.shape[1:], generator=torch.Generator().manual_seed(t.seed)) for t in triples]"

BREAKS = {
    "declared": {
        "    def config(self, preset):\n        return {'path': object()}\n": "plain JSON",
        "    import random\n    def config(self, preset):\n        return {'x': self.random.random()}\n": "second call",
        "    code = ('no_such_module_at_all',)\n": "no module",
        "    name = 'spf'\n": "installed method is called 'spf'",
        "    def config(self, preset):\n        return {}['lr']\n": "KeyError: 'lr' (subject.py, line 6)",
    },
    "train": {
        "    trains = True\n": "cannot be trained",
        TRAINS + "    def train(self, job):\n        return None\n": "returned None",
        TRAINS + "    def train(self, job):\n        return job.pipeline\n": "every run would train again",
        TRAINS + TWICE: "another checkpoint",
    },
    "count and size": {
        SAMPLE + "        return super().sample(backbone, triples, noise)[:3]\n": "uint8 [3, 64, 64, 3]",
        SAMPLE + "        return super().sample(backbone, triples, noise)[:, :32]\n": "[4, 32, 64, 3]",
        SAMPLE + "        return super().sample(backbone, triples, noise).float()\n": "float32 [4, 64, 64, 3]",
        SAMPLE + "        return None\n": "returned NoneType",
        "    reference = True\n": "not the original portraits",
    },
    "deterministic": {EMBED + "        return full + torch.randn_like(full)\n": "sampled again"},
    "batch": {EMBED + "        return full + full.mean(0)\n": "one by one"},
    "order": {EMBED + "        return full * torch.arange(1, 1 + len(full))[:, None, None]\n": "in reverse order"},
    "noise": {SAMPLE + "        return super().sample(backbone, triples, torch.zeros_like(noise))\n": "mini-0000"},
    "unload": {
        LOAD + "        backbone.unet.conv_in.bias.data += 1\n": "4 of 4 images differ",
        LOAD + "        backbone.pipe.text_encoder.get_input_embeddings().weight.data *= 1.5\n": "images differ",
    },
    "save and load": {
        TRAINS + "    weight = None\n    def train(self, job):\n        self.weight = 2.0\n"
        f"        return job.artifacts.get('x', {{}}, lambda folder: {WRITE})\n"
        + LOAD
        + "        pass\n"
        + EMBED
        + "        return full * (self.weight or 1.0)\n": "loaded by a new instance",
    },
    "facts": {"    def facts(self, backbone, triples):\n        return {'n': float('nan')}\n": "plain JSON"},
}


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A mask of the first noun of the miniature suite's first image."""
    folder = tmp_path / "masks"
    folder.mkdir()
    Image.fromarray(np.full((64, 64, 3), 255, np.uint8)).save(folder / "hair.png")
    (folder / "metadata.jsonl").write_text(json.dumps({"id": "s0", "attn_list": [["hair", "hair.png"]]}))
    return folder


@pytest.mark.parametrize("name", METHODS)
def test_it_keeps_the_contract(results: Examine, masks: Path, name: str) -> None:
    changes = [f"masks={masks}"] if name == "tokencompose" else SMALL.get(name, [])
    found = results(name, *changes)
    assert not broken(found), found
    assert len(found) == 10 and (found["train"].outcome is Outcome.skipped) == (found["train"].detail[:2] == "it")


@pytest.mark.parametrize(
    ("promise", "body", "why"), [(p, body, why) for p, bodies in BREAKS.items() for body, why in bodies.items()]
)
def test_a_broken_promise_is_named_with_its_reason(results: Examine, promise: str, body: str, why: str) -> None:
    found = results(X + body, until=promise)
    assert promise in broken(found), found
    assert why in found[promise].detail and found[promise].fix


def test_what_rests_on_a_broken_promise_is_not_looked_at(results: Examine) -> None:
    found = results(X + "    trains = True\n")
    assert broken(found) == {"train"}
    assert found["unload"].outcome is Outcome.skipped and "'train'" in found["unload"].detail
    assert found["batch"].outcome is Outcome.skipped and found["facts"].outcome is Outcome.passed


def test_chance_of_its_own_is_allowed_where_the_triple_seeds_it(results: Examine) -> None:
    assert not broken(results(X + EMBED + f"        return full + 0.1 * torch.stack({SEEDED})\n"))
