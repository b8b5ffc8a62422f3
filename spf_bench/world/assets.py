"""Where the world's weights lie, and what each folder holds."""

from __future__ import annotations

from pathlib import Path

from spf_bench.errors import UserError

WEIGHTS = Path(__file__).parent / "weights"
FOLDERS: dict[str, str] = {
    "pipeline": "the base model, a folder that StableDiffusionPipeline.from_pretrained loads",
    "clip": "the CLIP whose text tower conditions the base model and which a trainer may use",
    "judge_clip": "a second CLIP, which nothing trains against: CLIP-I and CLIP-T",
    "judge": "attributes, identity, parts and features: hit rate, kept, ID, Seg-Cons, LPIPS, FID",
    "hps": "the preference scorer of HPSv2's kind",
    "mps": "the preference scorer of MPS's kind",
}
"""The shipped folders and what each is for."""


def folder(name: str) -> Path:
    """The folder of one model; raises UserError where it is missing, KeyError for an unknown name."""
    path = WEIGHTS / name
    what = FOLDERS[name]
    if not path.is_dir():
        raise UserError(
            f"the world's weights lack {name!r} ({what})",
            f"{path} does not exist",
            "reinstall spf-bench, or make the weights: spf-bench world build",
        )
    return path
