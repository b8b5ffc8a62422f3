"""Whether face recognition runs where it should: onnxruntime loses CUDA without an error in three ways."""

import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from spf_bench.doctor.findings import Finding, State

CUDA = "CUDAExecutionProvider"
ONE_RUNTIME = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'onnxruntime-gpu[cuda,cudnn]'"


def runtime_findings() -> Iterator[Finding]:
    """Tell which of onnxruntime's builds is installed, and on what it really computes."""
    owners = runtimes()
    if not owners:
        return
    if len(owners) > 1:
        why = f"{' and '.join(owners)} overwrite each other's files: CUDA can be lost without a word"
        yield Finding("onnxruntime", State.blocks, why, ONE_RUNTIME)
    try:
        runs_on = provider()
    except Exception as error:  # whatever a broken build raises is what the user has to hear
        yield Finding("face recognition", State.blocks, f"{type(error).__name__}: {error}".splitlines()[0], ONE_RUNTIME)
        return
    yield _judged(runs_on, owners)


def _judged(runs_on: str, owners: list[str]) -> Finding:
    import torch

    said = f"runs on {runs_on} ({', '.join(owners)})"
    if runs_on == CUDA or not torch.cuda.is_available():
        return Finding("face recognition", State.ok, said)
    return Finding("face recognition", State.note, f"{said}, though torch sees CUDA: {_why_no_cuda()}", ONE_RUNTIME)


def _why_no_cuda() -> str:
    import onnxruntime

    if CUDA not in onnxruntime.get_available_providers():
        return "this build has no CUDA provider"
    folders = [Path(entry) / "nvidia" for entry in sys.path]
    if not any(any(folder.glob("**/libcurand.so*")) for folder in folders if folder.is_dir()):
        return "its CUDA provider needs libcurand, which torch does not bring"
    return "its CUDA provider cannot be loaded: it is built for another CUDA than torch"


def runtimes() -> list[str]:
    """Return the installed distributions that own the folder ``onnxruntime``."""
    return sorted(set(packages_distributions().get("onnxruntime", [])))


def provider() -> str:
    """Return the provider that really runs a network of one node, asked for CUDA first."""
    import onnxruntime

    asked = [name for name in (CUDA, "CPUExecutionProvider") if name in onnxruntime.get_available_providers()]
    if CUDA in asked and hasattr(onnxruntime, "preload_dlls"):
        with redirect_stdout(io.StringIO()):  # it prints what it cannot find
            onnxruntime.preload_dlls()  # as InsightFace does: CUDA's libraries lie in packages of their own
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it has to say is said in one line, not in a page of its log
    session: Any = onnxruntime.InferenceSession(identity_network(), options, providers=asked)
    found: str = session.get_providers()[0]
    return found


def identity_network() -> bytes:
    """Return an ONNX file, written by hand, whose only node copies x [1] to y [1]."""
    node = _field(1, b"x") + _field(2, b"y") + _field(4, b"Identity")
    shape = _field(2, _field(1, _varint(1, 1)))
    graph = _field(1, node) + _field(2, b"g")
    for place, name in ((11, b"x"), (12, b"y")):
        graph += _field(place, _field(1, name) + _field(2, _field(1, _varint(1, 1) + shape)))
    return _varint(1, 8) + _field(7, graph) + _field(8, _varint(2, 13))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content  # short fields: every length fits 7 bits


def _varint(number: int, value: int) -> bytes:
    return bytes([number << 3, value])
