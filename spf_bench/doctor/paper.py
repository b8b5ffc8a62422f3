"""What ``doctor --suite paper`` looks at besides weights: packages, the runtime of face recognition, settings."""

import importlib.util
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path

from spf_bench import weights
from spf_bench.doctor.findings import Finding, State
from spf_bench.doctor.runtime import runtime_findings
from spf_bench.errors import UserError
from spf_bench.paper import INSTALL, MODULES, TRAINSET, Settings, missing_packages
from spf_bench.portraits import Portraits
from spf_bench.weights.base import base_path

DISTRIBUTIONS = {"open_clip": "open_clip_torch", "segment_anything": "segment-anything"}


def paper_findings() -> Iterator[Finding]:
    """Look at everything that only the paper suite needs; nothing is changed or fetched."""
    yield from _packages()
    yield from runtime_findings()
    yield from _vocabulary()
    yield from _checkpoints()
    yield from _training()


def _packages() -> Iterator[Finding]:
    lacking = {problem.subject: problem for problem in missing_packages()}
    for name, used_by in MODULES.items():
        if name in lacking:
            yield Finding(name, State.blocks, lacking[name].why, lacking[name].fix)
        else:
            yield Finding(name, State.ok, f"{_version(name)}, for {used_by}")


def _version(module: str) -> str:
    names = [DISTRIBUTIONS.get(module, module), *packages_distributions().get(module, [])]
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "of unknown version"


def _vocabulary() -> Iterator[Finding]:
    """Tell of hpsv2's missing vocabulary; only the cross-check against the authors' package needs it."""
    try:
        place = Path(str(distribution("hpsv2").locate_file("hpsv2/src/open_clip/bpe_simple_vocab_16e6.txt.gz")))
    except PackageNotFoundError:
        return
    if not place.is_file():
        detail = "its wheel lacks the vocabulary; HPSv2 is scored through open_clip and needs neither"
        yield Finding("hpsv2", State.note, detail, f"cp {_open_clip_vocabulary()} {place.parent}/")


def _open_clip_vocabulary() -> str:
    spec = importlib.util.find_spec("open_clip")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("open_clip")
    return str(folder / "bpe_simple_vocab_16e6.txt.gz")


def _checkpoints() -> Iterator[Finding]:
    try:
        settings = Settings.from_environment()
    except UserError as error:
        yield from (Finding(p.subject, State.blocks, p.why, p.fix) for p in error.problems)
        return
    yield _base(settings)
    for name in settings.checkpoints:
        row = weights.CHECKPOINTS[name]
        found = weights.status(row)
        terms = f"; {row.terms}" if row.terms else ""
        if found.usable:
            yield Finding(f"weights: {name}", State.ok, f"{found.state}, {found.detail}{terms}")
        else:
            force = " --force" if found.files else ""
            fix = f"spf-bench weights fetch {name}{force}"
            yield Finding(f"weights: {name}", State.blocks, f"{found.detail}{terms}", fix)


def present_weights() -> Iterator[Finding]:
    """Tell of each published checkpoint that is here whether it is the one that the numbers belong to."""
    for name, row in weights.CHECKPOINTS.items():
        found = weights.status(row)
        if found.files:
            fix = "" if found.usable else f"spf-bench weights fetch {name} --force"
            yield Finding(f"weights: {name}", State.ok if found.usable else State.blocks, found.detail, fix)


def _base(settings: Settings) -> Finding:
    try:
        return Finding("base model", State.ok, str(base_path(settings.base)))
    except UserError as error:
        return Finding("base model", State.blocks, error.what, error.fix)


def _training() -> Iterator[Finding]:
    try:
        folder = Settings.from_environment().trainset
        if folder is None:
            yield Finding("portraits", State.note, "none: methods that train cannot run", f"set {TRAINSET}=DIR")
            return
        yield Finding("portraits", State.ok, f"{len(Portraits.open(folder, 512))} in {folder}")
    except UserError as error:
        yield Finding("portraits", State.blocks, error.what, error.fix or INSTALL)
