"""The paper's setting: a Stable Diffusion 1.5 of 512 pixels, published judges, the user's own training portraits."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from spf_bench import weights
from spf_bench.errors import UserError, unknown
from spf_bench.files.remembered import sha256_of
from spf_bench.files.store import digest
from spf_bench.paper import ON_REQUEST, OWN, TRAINSET, Settings
from spf_bench.portraits import Portraits
from spf_bench.suite import Preset, Sampling, Suite, TrainSample
from spf_bench.weights.base import base_path
from spf_bench.weights.places import cache_home
from spf_bench.weights.table import CHECKPOINTS

if TYPE_CHECKING:
    from spf_bench.metrics.base import Facts

PORTRAITS = 230_000  # as many as the paper has before filtering; a smaller folder is used whole


class PaperSuite(Suite):
    """Realistic Vision V4.0 or another Stable Diffusion 1.x; what the paper leaves open is in docs/metrics.md."""

    name = "paper"
    title = "the paper's setting"
    image_size = 512
    # The paper states no sampler; these are the base model's own recommendation without its negative prompts.
    sampling = Sampling(scheduler="dpmsolver++2m", steps=25, guidance=7.0, dtype="float16")
    testset = "spf-5k-v1"
    validation = "spf-200-v1"
    judge_names = (
        "inception",
        "clip_336",
        "alexnet",
        "dino",
        "buffalo_l",
        "sam_vit_h",
        "clip",
        "clip_datacomp",
        "hps",
        "mps",
        "image_reward",
        "bert_vocab",
    )
    presets: ClassVar[dict[str, Preset]] = {
        "quick": Preset("quick", trainer="paper-fp16", samples=1000),
        "default": Preset("default", trainer="paper", samples=PORTRAITS),
        "fp16": Preset("fp16", trainer="paper-fp16", samples=PORTRAITS),
        "a100": Preset("a100", trainer="a100", samples=PORTRAITS),
    }

    @cached_property
    def settings(self) -> Settings:
        """What the user decided; raises UserError where that has no meaning."""
        return Settings.from_environment()

    @property
    def pipeline(self) -> Path:
        return base_path(self.settings.base)

    @property
    def clip(self) -> Path:
        return weights.path("clip")

    def judge(self, name: str) -> Path:
        return weights.path(name)

    def limited_to(self, keys: Sequence[str]) -> Self:
        if not keys:
            return self
        from spf_bench.metrics import plugins

        offered = {kind.key for kind in self._kinds()}
        for key in keys:
            if key not in offered:
                raise unknown(f"metric of the suite {self.name!r}", key, offered, "spf-bench list metrics")
        asked = tuple(key for key in keys if key in ON_REQUEST)
        # Nobody knows which of the suite's networks a plug-in looks through.
        all_of_them = bool(plugins.discover().metrics.keys() & set(keys))
        extra = tuple(dict.fromkeys([*self.settings.extra, *asked])) if all_of_them else asked
        other = copy(self)
        for known in ("digests", "digests_on_request"):
            vars(other).pop(known, None)
        vars(other)["settings"] = replace(self.settings, extra=extra, only=() if all_of_them else tuple(keys))
        return other

    def require(self) -> None:
        self.settings.require(base=True)

    @property
    def judges(self) -> dict[str, Path]:
        self.settings.require()
        return {name: weights.path(name) for name in self.settings.checkpoints}

    @property
    def on_request(self) -> tuple[str, ...]:
        return self.settings.extra

    @cached_property
    def digests(self) -> dict[str, str]:
        self.settings.require()
        needed = self.settings.checkpoints
        # Those that nothing asked for looks through need not be here; where they are, they name the way of scoring,
        # so that a record of few metrics stands beside those of all.
        return self._digests([name for name in OWN if name in needed or weights.status(CHECKPOINTS[name]).usable])

    @cached_property
    def digests_on_request(self) -> dict[str, str]:
        return self._digests([name for name in self.settings.checkpoints if name not in OWN])

    def _digests(self, names: Iterable[str]) -> dict[str, str]:
        said = "" if self.settings.precision == "float32" else f" in {self.settings.precision}"
        return {name: weights.digest(name) + said for name in names}

    def trainset(self, seed: int, n: int) -> Sequence[TrainSample]:
        return Portraits.open(self._folder, self.image_size).drawn(seed, n)

    def trainset_facts(self, seed: int, n: int) -> dict[str, Any]:
        return {"portraits": self._portraits_sha256, "seed": seed, "n": n}

    def metrics(self, device: str) -> list[Any]:
        from spf_bench.metrics.paper import paper_metrics
        from spf_bench.metrics.plugins import join

        return list(join(self.name, device, paper_metrics(device, self.settings), self.settings.only))

    def lacking(self, scores: Sequence[str]) -> list[str]:
        from spf_bench.metrics.plugins import columns

        unasked = ON_REQUEST.keys() - set(self.settings.extra)
        measured = {column for kind in self._kinds() if kind.key not in unasked for column in columns(kind)}
        return [name for name in scores if name not in measured]

    def _kinds(self) -> "list[type[Facts]]":
        """Return the classes of all metrics that it may have: to load the judges takes minutes."""
        from spf_bench.metrics.base import Group
        from spf_bench.metrics.catalogue import catalogue

        return [kind for kind in catalogue() if kind.group is not Group.world]

    @cached_property
    def _portraits_sha256(self) -> str:
        """One digest of all texts and images, the same for all methods of a command."""
        rows = Portraits.open(self._folder, self.image_size).rows
        images = sha256_of(self._folder, [row.id for row in rows], cache_home() / "spf-bench" / "portraits")
        texts = [(row.id, row.base, row.target, row.category) for row in rows]
        return digest([(*text, image) for text, image in zip(texts, images, strict=True)], length=64)

    @property
    def _folder(self) -> Path:
        if self.settings.trainset is None:
            why = "the paper's training portraits were not published"
            raise UserError("there is nothing to train on", why, f"--trainset DIR, or set {TRAINSET}")
        return self.settings.trainset
