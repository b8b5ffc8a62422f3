"""Draws what the page shows: one original portrait, and each method's from the same noise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spf_bench.demo.cast import Actor
from spf_bench.demo.hook import Look, Sight
from spf_bench.errors import Problem, UserError
from spf_bench.files.outside import text_fault
from spf_bench.models.backbone import Backbone
from spf_bench.overlays import Grid
from spf_bench.triple import Category, Triple

SEEDS = 2**31  # as the test sets' own
STEPS = 5
ORIGINAL = "Original portrait"
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Portrait:
    """One picture and whose it is."""

    label: str
    pixels: Pixels
    """RGB [H, W, 3]."""


@dataclass(frozen=True)
class Drawn:
    """The answer to one question."""

    portraits: tuple[Portrait, ...]
    """The original first."""
    maps: tuple[tuple[str, Grid], ...]
    """What methods looked at, each with its method's label."""


class Studio:
    """The original model, and everybody who can take its place.

    Args:
        backbone: The original model.
        actors: Who is shown.
        looks: What is shown of where they look, by name.

    Raises:
        UserError: Weights do not fit the model; all such are named.
    """

    def __init__(self, backbone: Backbone, actors: Sequence[Actor], looks: Mapping[str, Look]) -> None:
        self.backbone, self.looks = backbone, dict(looks)
        self.actors = dict(_named(actors))
        self._lock = Lock()
        self._rehearse()

    def draw(self, base: str, target: str, seed: int, chosen: Sequence[str], maps: bool = False) -> Drawn:
        """Draw the original portrait of ``base`` and the customised ones of ``base`` and ``target``.

        Args:
            base: Phrases separated by commas.
            target: The attribute to add; empty: the base text alone, as in the retention track.
            seed: Of the noise that all share, from 0 below 2^31.
            chosen: Labels of ``actors``, in this order.
            maps: Also show where they looked, for those about whom a look has something to say.

        Raises:
            UserError: The texts or the seed cannot be used, or a method refuses them.
        """
        triple = triple_of(base, target, seed)
        chosen = [self._known(label) for label in chosen]
        with self._lock:  # one model, whose weights change hands
            first = self.backbone.render(self.backbone.encode([triple.base]), self._noise(triple))[0].numpy()
            portraits = [Portrait(label, self._customised(self.actors[label], triple)) for label in chosen]
            grids = list(self._maps(chosen, triple)) if maps and triple.target else []
        return Drawn((Portrait(ORIGINAL, first), *portraits), tuple(grids))

    def _customised(self, actor: Actor, triple: Triple) -> Pixels:
        method = actor.run.method
        try:
            method.load(self.backbone, actor.checkpoint)
            pixels: Pixels = method.sample(self.backbone, [triple], self._noise(triple))[0].numpy()
            return pixels
        finally:
            method.unload(self.backbone)

    def _maps(self, chosen: Sequence[str], triple: Triple) -> Iterator[tuple[str, Grid]]:
        for label in chosen:
            actor = self.actors[label]
            for look in self.looks.values():
                grid = look(Sight(actor.run, actor.checkpoint, triple, self.backbone, STEPS))
                if grid is not None:
                    yield label, grid

    def _noise(self, triple: Triple) -> Tensor:
        return self.backbone.noise_for(triple)[None]

    def _known(self, label: str) -> str:
        if label not in self.actors:
            raise UserError(f"nobody here is called {label!r}", f"here are {', '.join(self.actors)}")
        return label

    def _rehearse(self) -> None:
        """Load everybody once, so that a checkpoint that does not fit is known before anybody looks."""
        problems = []
        for name, actor in self.actors.items():
            try:
                actor.run.method.load(self.backbone, actor.checkpoint)
            except UserError as error:
                problems.append(Problem(name, f"{error.what}: {error.why}", error.fix))
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                why = (str(error).strip().splitlines() or [type(error).__name__])[0]
                problems.append(Problem(name, why, f"name another folder than {actor.checkpoint}"))
            finally:
                actor.run.method.unload(self.backbone)
        if problems:
            raise UserError("some weights cannot be used", "nothing is shown", problems=problems)


def triple_of(base: str, target: str, seed: int) -> Triple:
    """Return a test case made of what somebody typed.

    Raises:
        UserError: Naming everything that cannot be used.
    """
    base, target = base.strip(), target.strip()
    faults = {"base text": text_fault(base), "target text": text_fault(target) if target else None}
    whole = isinstance(seed, int) and 0 <= seed < SEEDS
    faults["seed"] = None if whole else f"{seed} is no whole number from 0 to 2^31 - 1"
    problems = [Problem(name, why, "") for name, why in faults.items() if why]
    if problems:
        raise UserError("this cannot be drawn", problems=problems)
    phrases = tuple(part.strip() for part in base.split(",") if part.strip())
    return Triple("demo", base, target, Category.appearance, seed, phrases)


def _named(actors: Sequence[Actor]) -> Iterator[tuple[str, Actor]]:
    """Yield actors with labels of which no two are alike."""
    seen: dict[str, int] = {}
    for actor in actors:
        seen[actor.label] = count = seen.get(actor.label, 0) + 1
        yield actor.label if count == 1 else f"{actor.label} [{count}]", actor
