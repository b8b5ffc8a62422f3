"""The networks of a build: each loaded when its work begins, and all of them once before anything is painted."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from spf_bench.errors import Problem, UserError
from spf_bench.plugins import reason
from spf_bench.trainset.captioner import Captioner
from spf_bench.trainset.filters import HPS, MATCH, REWARD
from spf_bench.trainset.painters import load_painter
from spf_bench.trainset.scores import Scorer, hps_scorer, match_scorer, reward_scorer
from spf_bench.trainset.spec import Spec

LOADERS: dict[str, Callable[[Path, str, str, torch.dtype], Scorer]] = {
    MATCH: match_scorer,
    HPS: hps_scorer,
    REWARD: reward_scorer,
}
"""What loads the scorer of each filter, given path, SHA-256, device and floating type."""


def load_captioner(spec: Spec, device: str) -> Captioner:
    """Load the captioning model; only where there is one."""
    assert spec.sources.captioner is not None
    return Captioner.load(spec.sources.captioner.path, device, spec.precision)


def load_scorer(spec: Spec, name: str, device: str) -> Scorer:
    """Load the network of a filter."""
    network = spec.sources.judges[name]
    return LOADERS[name](network.path, network.sha256, device, getattr(torch, spec.precision))


def rehearse(spec: Spec, device: str) -> None:
    """Load each network by itself and let it go again: a wrong one is named now, not after days of painting.

    Raises:
        UserError: Naming every one that cannot be loaded, or cannot do what it is there for.
    """
    problems = []
    for asked, load in _loads(spec, device).items():
        try:
            load()
        except UserError as error:
            problems.append(Problem(asked, reason(error), error.fix))
    if problems:
        count = "a network" if len(problems) == 1 else f"{len(problems)} networks"
        raise UserError(f"{count} of this build cannot be used", "nothing was painted", problems=problems)


def _loads(spec: Spec, device: str) -> dict[str, Callable[[], object]]:
    """Return what loads each network by its name; the first checkpoint, which paints at once, is left out."""
    sources, found = spec.sources, dict[str, Callable[[], object]]()
    for model in sources.models[1:]:
        found[model.asked] = partial(load_painter, model.path, spec.canvas.sampling, device)
    if sources.captioner is not None:
        found[sources.captioner.asked] = partial(load_captioner, spec, device)
    for name in spec.filters.scores:
        found[sources.judges[name].asked] = partial(load_scorer, spec, name, device)
    return found
