"""Broken inputs as users have them: what lies in a folder, and what is typed there; ``broken.txt`` has the answers."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from spf_bench import testset
from tests.bench.conftest import make_triples

Content = str | bytes
ROW = {"id": "a", "base": "a woman, red hair", "target": "smiling"}
TRIPLE = json.dumps(make_triples(1)[0].to_dict())
SCORE = "score --suite mini --originals o --customised c --captions c.csv"
RUN = "run --suite mini --device cpu"
CSV = "id,base,target\na,a woman,smiling\n"


@dataclass(frozen=True)
class Case:
    """One kind of broken input."""

    name: str
    """What is broken, in words."""
    words: str
    """The command after ``spf-bench``."""
    files: Mapping[str, Content] = field(default_factory=dict)
    """What lies in the folder where it is typed."""
    prepare: Callable[[Path], object] | None = None
    """Does what files alone cannot."""


def png(width: int = 64, height: int = 64) -> bytes:
    """Return a black picture."""
    raw = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(raw, format="PNG")
    return raw.getvalue()


class Payload:
    """Does something when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("owned"),)  # type: ignore[return-value]


def pickle(path: str, content: object) -> Callable[[Path], object]:
    """Return what saves a pickle."""
    return lambda folder: torch.save(content, folder / path)


def sealed(lines: str, *more: str) -> Callable[[Path], object]:
    """Return what makes a test set of some lines, then appends others that its checksums do not cover."""

    def make(folder: Path) -> None:
        own = folder / "own"
        own.mkdir()
        (own / testset.TRIPLES).write_text(lines, encoding="utf-8")
        testset.seal(own, (testset.TRIPLES,))
        with (own / testset.TRIPLES).open("a", encoding="utf-8") as file:
            file.writelines(more)

    return make


def long_triple() -> str:
    """Return a triple whose texts are longer than the toy encoder reads."""
    return json.dumps({**json.loads(TRIPLE), "base": ", ".join(["a woman with a guitar"] * 20)})


CASES: tuple[Case, ...] = (
    Case("a method nobody knows", f"{RUN} --method spg"),
    Case("options of another suite", f"{RUN} --method spf --trainset portraits --base models/sd15"),
    Case("a metric on request of another suite", f"{SCORE} --also lpips_vgg"),
    Case("a limit beyond the test set", f"{RUN} --method original --limit 7"),
    Case(
        "settings that do not exist, and of the wrong kind", f"{RUN} --method spf --set spf.nrm=l2 --set stage1.lr=fast"
    ),
    Case("a file of a method without its class", f"{RUN} --method mine.py", {"mine.py": "class Mine:\n    pass\n"}),
    Case("a method with an error of syntax", f"{RUN} --method mine.py:Mine", {"mine.py": "class Mine(:\n"}),
    Case("a class that is no method", f"{RUN} --method mine.py:Mine", {"mine.py": "class Mine:\n    pass\n"}),
    Case("a checkpoint that is not there", f"{RUN} --method spf --checkpoint nowhere"),
    Case(
        "a checkpoint in a pickle",
        f"{RUN} --method spf --checkpoint mine",
        {
            "mine/unet/config.json": '{"_class_name": "UNet2DConditionModel"}',
            "mine/unet/diffusion_pytorch_model.bin": b"x",
        },
    ),
    Case(
        "a checkpoint cut short",
        f"{RUN} --method spf --checkpoint mine",
        {
            "mine/unet/config.json": '{"_class_name": "UNet2DConditionModel"}',
            "mine/unet/diffusion_pytorch_model.safetensors": b"\x40",
        },
    ),
    Case("a test set that was changed", f"{RUN} --method original --testset own", prepare=sealed(TRIPLE, "\n{}")),
    Case(
        "a test set of lines that are no triples",
        f"{RUN} --method original --testset own",
        prepare=sealed('{"id": "../../x", "base": "", "seed": -1}\n[1]\n{broken\n'),
    ),
    Case(
        "texts longer than the encoder reads", f"{RUN} --method original --testset own", prepare=sealed(long_triple())
    ),
    Case("captions without a header", "testset import c.csv --to new", {"c.csv": "a woman,smiling\n"}),
    Case("captions in UTF-16", "testset import c.csv --to new", {"c.csv": CSV.encode("utf-16")}),
    Case(
        "captions with many faults",
        "testset import c.jsonl --to new",
        {
            "c.jsonl": '{"base": "a\\u0000b", "target": "x", "category": "hats"}\n'
            '{"base": 3}\n{"base": "a", "base": "b"}\n'
            '{"base": "a", "target": "b", "category": "clothing", "image": "../../etc/passwd"}\n'
        },
    ),
    Case("captions into a folder that is taken", "testset import c.csv --to new", {"c.csv": CSV, "new/mine.txt": "x"}),
    Case(
        "images that are missing, broken, or twice there",
        SCORE,
        {"c.csv": CSV + "b,a man,bald\n", "o/a.png": png(), "o/a.jpg": png(), "c/a.png": b"no image", "o/b.png": png()},
    ),
    Case("images of several sizes", SCORE, {"c.csv": CSV, "o/a.png": png(), "c/a.png": png(32, 64)}),
    Case("captions that are not there", SCORE, {"o/a.png": png(), "c/a.png": png()}),
    Case("a record that is no JSON", "table --runs runs", {"runs/a/record.json": "{"}),
    Case(
        "a record with strange contents",
        "table --runs runs",
        {"runs/a/record.json": '{"schema": 1, "n": "many", "x": NaN}'},
    ),
    Case(
        "a record with fields missing",
        "table --runs runs",
        {"runs/a/record.json": '{"schema": 1, "n": "many", "columns": [3]}'},
    ),
    Case("a record of another version", "table --runs runs", {"runs/a/record.json": '{"schema": 99}'}),
    Case("a table in a format nobody writes", "table --runs runs --to a.docx"),
    Case("a page where no file can be made", "report --to /proc/x.html"),
    Case("tables where a folder and a file stand", "table --to a.md --to b.csv/c.csv", {"a.md/x": "x", "b.csv": "x"}),
    Case("a study that is not there", "study tally study"),
    Case(
        "a study whose pictures lie elsewhere",
        "study tally study",
        {
            "study/study.json": json.dumps(
                {
                    "schema": 1,
                    "id": "a",
                    "created": "",
                    "suite": "",
                    "testset": "",
                    "testset_sha256": "",
                    "seed": 0,
                    "minutes": 1,
                    "ties": False,
                    "questions": [],
                    "methods": [],
                    "ballots": [],
                    "units": [
                        {
                            "base": "",
                            "target": "",
                            "unit": {"a": "", "b": "", "triple": "", "category": ""},
                            "original": "../../etc/passwd",
                            "images": ["a", "b"],
                        }
                    ],
                }
            )
        },
    ),
    Case("settings with aliases", "train --config a.yaml", {"a.yaml": "a: &a [1]\nb: [*a, *a]\n"}),
    Case("settings that are no YAML", "train --config a.yaml", {"a.yaml": "stage1: {lr: 1\n"}),
    Case("settings nested too deep", "train --config a.yaml", {"a.yaml": "[" * 1200}),
    Case("portraits without a model", "train --data data", {"data/metadata.jsonl": "{}"}),
    Case(
        "portraits that cannot be used",
        "train --data data --base-model nowhere --limit 2",
        {"data/metadata.jsonl": '{"file_name": "/etc/passwd", "base": "a", "target": "b"}\n{"file_name": "a.png"}\n'},
    ),
    Case(
        "a tar that is cut short", "train --data a.tar --base-model nowhere --limit 2", {"a.tar": b"a.png" + bytes(300)}
    ),
    Case(
        "a model that is a pickle",
        "train --data data --base-model model.ckpt",
        {"data/metadata.jsonl": json.dumps({**ROW, "file_name": "a.png"}), "data/a.png": png(), "model.ckpt": b"x"},
    ),
    Case("a model that is nowhere", "testset build --suite mini --base-model nowhere"),
    Case(
        "a pickle that wants to run code",
        "weights convert a.ckpt a.safetensors",
        prepare=pickle("a.ckpt", {"w": Payload()}),
    ),
    Case("a pickle without a network", "weights convert a.ckpt a.safetensors", prepare=pickle("a.ckpt", {"epoch": 3})),
    Case("a checkpoint nobody knows", "weights fetch clipp"),
    Case("a metric that is no class", "check mine.py:Mine", {"mine.py": "Mine = 3\n"}),
    Case("a traced figure without its data", "figure 13 --data sweep.json", {"sweep.json": "[1"}),
)
