"""Is a checkpoint that the user names one of this method, on this base model?"""

from pathlib import Path
from typing import Any

from baselines.training import for_users
from spf_bench.errors import UserError
from spf_bench.method import Method
from spf_bench.run import given
from spf_bench.suite import Suite

STAGES = {"spf": ("stage2", "stage1"), "naive": ("stage1",)}
"""The folders of a training's output that hold a method's result, the first that is there."""
FINISHED, UNDER_WAY = "finished.json", "checkpoint.pt"


def accepted(method: Method, folder: Path, suite: Suite) -> Path:
    """Return the checkpoint of a training's output, of a stage, a pipeline or a UNet, if it is the method's.

    Raises:
        UserError: It holds no UNet, or one that is not finished, of another method or of another base model.
    """
    from spf_train.base_model import base_digest

    where = located(method, folder)
    if (where / UNDER_WAY).is_file() and not (where / FINISHED).is_file():
        raise UserError(f"{where} is not finished", "its training was interrupted", "run `spf-bench train` again")
    identity = _identity(given.told(where))
    if (made_by := maker(identity) or method.name) != method.name:
        fix = f"give one of {method.title}'s, or run with --method {made_by}"
        raise UserError(f"{where} is no checkpoint of {method.name}", f"{made_by} made it", fix)
    if "original" in identity:
        with for_users():
            base = base_digest(suite.pipeline)
        if identity["original"] != base:
            why = f"the base model of the suite {suite.name!r} is another"
            raise UserError(f"{where} was trained from another base model", why, "give one trained from this one")
    return given.accept(method, where, suite)


def located(method: Method, folder: Path) -> Path:
    """Return the method's stage in a training's output; the folder itself where it is none."""
    stages = [folder / name for name in STAGES.get(method.name, ())]
    return next((stage for stage in stages if (stage / given.UNET).is_dir()), folder)


def maker(identity: dict[str, Any]) -> str | None:
    """Return the method that a training's identity speaks of; None where it speaks of none."""
    if "method" in identity:
        return str(identity["method"])
    return "spf" if "spf" in identity else "naive" if "stage" in identity else None


def _identity(told: dict[str, Any]) -> dict[str, Any]:
    """Return the digests a trained stage depends on: its own, or of an exported pipeline the last stage's."""
    stages = told.get("stages")
    last = stages[-1] if isinstance(stages, list) and stages else None
    identity = last.get("identity") if isinstance(last, dict) else None
    return identity if isinstance(identity, dict) else {} if stages else told
