"""The card of a trained pipeline: what it is, what it was trained with, how the losses went, how it is used."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from spf_train.config import TrainConfig

NOT_LOSSES = {"step", "lr", "seconds", "loss_scale", "passes", "skipped"}


@dataclass(frozen=True)
class StageFacts:
    """A finished stage.

    steps: optimiser steps taken. seconds: of all steps.
    identity: digests of all it depends on, as its run.json has them.
    first, last: mean of every term over the first and the last tenth of the steps, of those that have it: a step that
        fp16 skipped has no grad_norm.
    """

    name: str
    steps: int
    seconds: float
    identity: dict[str, Any]
    first: dict[str, float]
    last: dict[str, float]


@dataclass(frozen=True)
class Facts:
    """What a card tells. base: the original model, as it was named. samples: how many there were."""

    base: str
    config: TrainConfig
    stages: Sequence[StageFacts]
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        stages = [asdict(stage) for stage in self.stages]
        settings = {name: value for name, value in self.config.to_dict().items() if name != "log"}
        facts = {"base": self.base, "settings": settings, "stages": stages, "samples": self.samples}
        plain: dict[str, Any] = json.loads(json.dumps(facts))
        return plain


def stage_facts(name: str, folder: Path) -> StageFacts:
    """The facts of a stage from its folder."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    tenth = max(1, len(rows) // 10)
    identity = json.loads((folder / "run.json").read_text())
    seconds = round(sum(row["seconds"] for row in rows), 1)
    return StageFacts(name, len(rows), seconds, identity, _means(rows[:tenth]), _means(rows[-tenth:]))


def model_card(facts: Facts, prompts: Sequence[tuple[str, str]], adapted: bool, lora: bool, sd1: bool = True) -> str:
    """README.md in Markdown, with the front matter that the Hugging Face Hub reads.

    prompts: (base, target) texts of the grid's rows. adapted, lora: whether there is an adapter, or LoRA weights.
    sd1: whether the model is built as Stable Diffusion 1.x.
    """
    parts = [
        _front_matter(facts),
        "# Text-to-portrait customisation with SPF-Portrait\n",
        f"Trained from `{facts.base}` by spf_train, an open implementation of "
        "[SPF-Portrait](https://arxiv.org/abs/2504.00396).\n",
        "## Use\n",
        _usage(prompts[0] if prompts else ("a portrait", "smiling"), adapted),
        *_notes(adapted, lora, sd1),
        "## Samples\n",
        "From left to right: the original model on the base text, this model on the base text, this model on base "
        "and target text; the same noise in each row.\n",
        "![samples](samples.png)\n",
        "".join(f"{row}. *{base}* + **{target}**\n" for row, (base, target) in enumerate(prompts, start=1)),
        "## Training\n",
        f"{facts.samples} samples, SHA-256 of texts and images `{facts.stages[-1].identity.get('samples', '')}`.\n",
        *(_stage(stage) for stage in facts.stages),
        "### Settings\n",
        f"```yaml\n{yaml.safe_dump(facts.to_dict()['settings'], sort_keys=False)}```\n",
    ]
    return "\n".join(parts)


def _front_matter(facts: Facts) -> str:
    front: dict[str, Any] = {"library_name": "diffusers", "pipeline_tag": "text-to-image"}
    front["tags"] = ["stable-diffusion", "spf-portrait", "text-to-portrait"]
    if facts.base.count("/") == 1 and not Path(facts.base).exists():
        front["base_model"] = facts.base
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n"


def _usage(prompt: tuple[str, str], adapted: bool) -> str:
    base, target = (json.dumps(text, ensure_ascii=False) for text in prompt)
    lines = ["from diffusers import StableDiffusionPipeline", ""]
    if adapted:
        lines[:0] = ["import torch"]
        lines += ["from spf_train import adapter, variants", ""]
    lines.append('pipe = StableDiffusionPipeline.from_pretrained("this folder", safety_checker=None)')
    if adapted:
        lines += [
            'variants.load(pipe.unet, "this folder")',
            f"text = adapter.embed_for(pipe, [{base}], [{target}])",
            'empty = adapter.with_target(pipe.encode_prompt([""], pipe.device, 1, False)[0])',
            "image = pipe(prompt_embeds=text, negative_prompt_embeds=empty).images[0]",
        ]
    else:
        complete = json.dumps(f"{prompt[0]}, {prompt[1]}", ensure_ascii=False)
        lines.append(f"image = pipe({complete}).images[0]")
    code = "\n".join(lines)
    return f"```python\n{code}\n```\n"


def _notes(adapted: bool, lora: bool, sd1: bool) -> list[str]:
    notes = []
    if adapted:
        notes.append("The target text reaches the model through `adapter.safetensors`; without it this is the start.\n")
    if lora:
        notes.append(
            "`lora/` holds the last stage's low-rank weights in diffusers' format, for the UNet this stage started "
            "from (stage 1's where there is one); `unet/` has them merged.\n"
        )
    if not sd1:
        notes.append("There is no single file of it: its networks are not built as Stable Diffusion 1.x.\n")
    return notes


def _stage(stage: StageFacts) -> str:
    """A stage's losses as a table."""
    names = [name for name in stage.first if name in stage.last]
    rows = "".join(f"| {name} | {stage.first[name]:.4g} | {stage.last[name]:.4g} |\n" for name in names)
    head = "| term | first tenth | last tenth |\n|---|---|---|\n"
    return f"### {stage.name}: {stage.steps} steps, {stage.seconds:.0f} s\n\n{head}{rows}"


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of every term over the rows that have a finite value of it; without those that none has."""
    values: dict[str, list[float]] = {}
    for name, value in (term for row in rows for term in row.items() if term[0] not in NOT_LOSSES):
        if math.isfinite(value):
            values.setdefault(name, []).append(value)
    return {name: fmean(found) for name, found in values.items()}
