"""What a finished training leaves to be used: a diffusers pipeline with its card, and a single file."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spf_train import variants
from spf_train.base_model import Source, load_pipeline, load_unet
from spf_train.checkpoint import write_atomically
from spf_train.config import TrainConfig
from spf_train.layout import is_sd1, write_single_file
from spf_train.model_card import Facts, model_card, stage_facts
from spf_train.sample import Sample
from spf_train.validation import Validation, choose_prompts, save_grid

log = logging.getLogger(__name__)


def export(
    base: Source,
    runs: Mapping[str, Path],
    config: TrainConfig,
    samples: Sequence[Sample],
    out: Path,
    device: str | None = None,
    prediction_type: str | None = None,
) -> None:
    """Writes the result of finished runs; what is there already for the same runs stays.

    out/pipeline: what `StableDiffusionPipeline.from_pretrained` loads, with README.md (the card), samples.png and
        training.json (the facts of the card); lora/ and adapter.safetensors where the last stage made one.
    out/pipeline.safetensors: the same in Stable Diffusion 1.x's own layout; none where an adapter is part of the model,
        or the model is another, Stable Diffusion 2.x say: that layout has no place for them.

    runs: the stages' folders by name, in their order; the last one is exported.
    samples: the prompts of the sample grid are taken from them where `config.log` names none.
    """
    result, final = out / "pipeline", list(runs.values())[-1]
    facts = Facts(str(base), config, [stage_facts(name, folder) for name, folder in runs.items()], len(samples))
    if _facts_of(result) == facts.to_dict():
        return
    pipe = load_pipeline(base, device, prediction_type=prediction_type)
    trained = load_unet(final, pipe.device)
    validation = Validation(pipe, choose_prompts(config.log, samples), config.log)
    columns = [validation.portraits(pipe.unet, validation.base), validation.portraits(trained, validation.base)]
    columns.append(validation.portraits(trained, validation.complete, validation.target))
    pipe.unet = variants.plain(trained)
    adapted, lora = (final / variants.ADAPTER_FILE).is_file(), (final / "lora").is_dir()
    sd1 = is_sd1(pipe)

    def fill(new: Path) -> None:
        pipe.save_pretrained(new)
        save_grid(new / "samples.png", columns)
        (new / "README.md").write_text(model_card(facts, validation.prompts, adapted, lora, sd1), encoding="utf-8")
        if lora:
            shutil.copytree(final / "lora", new / "lora")
        if adapted:
            shutil.copy(final / variants.ADAPTER_FILE, new)
        (new / "training.json").write_text(json.dumps(facts.to_dict(), indent=2))

    single = out / "pipeline.safetensors"
    if not sd1:
        log.warning("no %s is written: single files are for Stable Diffusion 1.x", single)
    if sd1 and not adapted:
        write_single_file(pipe, single, title=out.resolve().name)
    else:
        single.unlink(missing_ok=True)  # of an export before, of other runs
    write_atomically(result, fill)


def _facts_of(result: Path) -> dict[str, Any] | None:
    """The facts of the pipeline that was exported before, if one was; it is moved into place when all is there."""
    try:
        facts: dict[str, Any] = json.loads((result / "training.json").read_text())
    except (OSError, ValueError):
        return None
    return facts
