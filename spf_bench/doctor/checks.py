"""Looks at everything a run needs and says what is missing, why, and the command that mends it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from spf_bench.doctor.findings import Finding, State
from spf_bench.environment import PACKAGES, git_state, package_versions
from spf_bench.errors import UserError

ROOM = 1 << 30  # bytes: originals, images, checkpoints and features of a few runs


def examine(runs: Path, suite: str = "world") -> list[Finding]:
    """Look at packages, device, weights, test sets, methods, folders and code; nothing is changed."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        _packages,
        _device,
        _paper if suite == "paper" else lambda: _weights(suite),
        _testsets,
        _methods,
        lambda: _folder(runs),
        _code,
    ]
    return [finding for check in checks for finding in check()]


def _packages() -> Iterator[Finding]:
    found = package_versions()
    for name in ("spf-bench", *PACKAGES):
        if name in found:
            yield Finding(name, State.ok, found[name])
        else:
            yield Finding(name, State.blocks, "not installed", "pip install -e .")


def _device() -> Iterator[Finding]:
    import torch

    cpus = f"{torch.get_num_threads()} of {os.cpu_count()} CPU threads"
    if torch.cuda.is_available():
        yield Finding("device", State.ok, f"cuda ({torch.cuda.get_device_name(0)}), {cpus}")
    else:
        yield Finding("device", State.ok, f"cpu, {cpus}; enough for the world suite")


def _weights(suite: str) -> Iterator[Finding]:
    from spf_bench.files.store import folder_sha256
    from spf_bench.suite import get_suite

    chosen = get_suite(suite)
    folders: dict[str, Callable[[], Path]] = {
        "pipeline": lambda: chosen.pipeline,
        "clip": lambda: chosen.clip,
        **{name: lambda name=name: chosen.judge(name) for name in chosen.judge_names},  # type: ignore[misc]
    }
    for name, folder in folders.items():
        try:
            yield Finding(f"weights: {name}", State.ok, f"{folder()}, sha256 {folder_sha256(folder())[:12]}")
        except UserError as error:
            yield Finding(f"weights: {name}", State.blocks, f"{error.what}: {error.why}", error.fix)


def _paper() -> Iterator[Finding]:
    from spf_bench.doctor.paper import paper_findings

    return paper_findings()


def _testsets() -> Iterator[Finding]:
    from spf_bench import testset

    if not testset.available():
        yield Finding("test sets", State.blocks, "none is there", "git checkout -- testsets")
    for name in testset.available():
        try:
            found = testset.load(name)
            yield Finding(f"test set: {name}", State.ok, f"{len(found.triples)} triples, sha256 {found.sha256[:12]}")
        except UserError as error:
            fix = error.problems[0].fix if error.problems else error.fix
            yield Finding(f"test set: {name}", State.blocks, error.what, fix)


def _methods() -> Iterator[Finding]:
    from spf_bench.method import discover
    from spf_bench.metrics import plugins

    found = discover()
    for kind, broken in (("method", found.broken), ("metric", plugins.discover().broken)):
        for name, reason in broken.items():
            yield Finding(f"{kind}: {name}", State.note, f"cannot be loaded: {reason}", "mend or uninstall the plug-in")
    if found.methods:
        yield Finding("methods", State.ok, ", ".join(found.methods))
    else:
        yield Finding("methods", State.blocks, "none is installed", "pip install -e .")


def _folder(runs: Path) -> Iterator[Finding]:
    place = next(folder for folder in (runs.resolve(), *runs.resolve().parents) if folder.exists())
    if os.access(place, os.W_OK):
        yield Finding("runs folder", State.ok, f"{runs} can be written")
    else:
        yield Finding("runs folder", State.blocks, f"{place} cannot be written", "choose another with --runs DIR")
    free = shutil.disk_usage(place).free
    state = State.ok if free > ROOM else State.note
    yield Finding(
        "disk", state, f"{free / 2**30:.1f} GiB free", "" if state is State.ok else "make room: 1 GiB is safe"
    )


def _code() -> Iterator[Finding]:
    commit, dirty = git_state()
    if commit is None:
        yield Finding("code", State.note, "no git repository: records cannot name a commit", "run from a clone")
    elif dirty:
        yield Finding("code", State.note, f"commit {commit[:12]} with uncommitted changes", "git commit -a")
    else:
        yield Finding("code", State.ok, f"commit {commit[:12]}")
