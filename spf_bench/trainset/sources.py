"""Finds every network that a build needs, before anything is made; all that is missing is named at once."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spf_bench.errors import Problem, UserError, installing
from spf_bench.files.outside import existing, short
from spf_bench.files.pickles import refuse_pickles
from spf_bench.files.store import folder_sha256
from spf_bench.suite import Suite
from spf_bench.trainset.filters import HPS, MATCH, Rules
from spf_bench.weights.base import ON_HUB, base_path
from spf_bench.weights.hub import refuse_altered


@dataclass(frozen=True)
class Network:
    """A network that is here."""

    asked: str
    """What the user called it, or the suite's name for it."""
    path: Path
    """Where it lies."""

    @property
    def sha256(self) -> str:
        """SHA-256 of its files."""
        return folder_sha256(self.path)


@dataclass(frozen=True)
class Sources:
    """The networks of a build."""

    models: tuple[Network, ...]
    """Checkpoints that paint."""
    captioner: Network | None
    """Captioning model; None where the grammar's texts stand."""
    judges: dict[str, Network]
    """The network of each filter that is on."""


def find(suite: Suite, models: tuple[str, ...], captioner: str | None, match: str | None, rules: Rules) -> Sources:
    """Look for everything.

    Args:
        suite: Whose networks serve where none is named.
        models: Folders, ``.safetensors`` files or Hub ids of checkpoints.
        captioner: Folder or Hub id of a captioning model.
        match: Folder or Hub id of a CLIP for the match filter.
        rules: Which filters are on.

    Raises:
        UserError: Something is not here; all of it is named, with the command that fetches it.
    """
    problems: list[Problem] = []

    def look(asked: str, where: Callable[[], Path]) -> Network:
        try:
            return Network(asked, where())
        except UserError as error:
            problems.extend(error.problems or [Problem(asked, error.why or error.what, error.fix)])
            return Network(asked, Path())

    own = f"base model of the suite {suite.name}"
    painters = [look(one, lambda one=one: base_path(one)) for one in models]  # type: ignore[misc]
    painters = painters or [look(own, lambda: suite.pipeline)]
    writer = look(captioner, lambda: hub_folder(captioner)) if captioner else None
    judges = {}
    for name, _ in rules.items():
        if name == MATCH:
            judges[name] = look(
                match or f"CLIP of the suite {suite.name}", lambda: hub_folder(match) if match else suite.clip
            )
        else:
            judges[name] = look(f"{name} of the suite {suite.name}", lambda name=name: suite.judge(name))  # type: ignore[misc]
    problems += _no_vocabulary(rules) + _no_package(judges)
    if problems:
        raise UserError(f"{len(problems)} things this build needs are not here", problems=problems)
    return Sources(tuple(painters), writer, judges)


def hub_folder(asked: str) -> Path:
    """Return where a model in Hugging Face's layout lies: a folder, or a snapshot in the cache; nothing is fetched.

    Raises:
        UserError: It is not here, not as the Hub stated it, or a pickle that the user did not allow.
    """
    folder = existing(asked)
    if folder is not None and folder.is_dir():
        refuse_pickles(folder)
        return folder
    match = ON_HUB.fullmatch(asked)
    if match is None:
        why = "no such folder, and no name of a repository"
        raise UserError(
            f"there is no model {short(asked)}", why, "give a folder, or owner/name of a repository on the Hub"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(match["repo"], revision=match["revision"], local_files_only=True))
    except LocalEntryNotFoundError:
        raise UserError(f"{asked} is not in the Hugging Face cache", "", f"hf download {match['repo']}") from None
    refuse_altered(folder, f"hf download {match['repo']} --force-download")
    refuse_pickles(folder)
    return folder


def _no_vocabulary(rules: Rules) -> list[Problem]:
    """Say what is wrong with BERT's vocabulary where ImageReward needs it."""
    if rules.image_reward is None:
        return []
    from spf_bench import weights

    try:
        weights.require(["bert_vocab"])
    except UserError as error:
        return list(error.problems)
    return []


def _no_package(judges: dict[str, Network]) -> list[Problem]:
    """Say whether HPS' released file lacks the package that builds its network."""
    hps = judges.get(HPS)
    if hps is None or not hps.path.is_file() or importlib.util.find_spec("open_clip"):
        return []
    return [Problem("open_clip", "HPS needs it", installing("paper"))]
