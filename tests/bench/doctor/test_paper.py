"""What doctor says of the paper suite: each of the known traps is named with the command out of it."""

import types

import pytest

from spf_bench.doctor import paper as doctor_paper
from spf_bench.doctor import runtime as doctor_runtime
from spf_bench.doctor.findings import Finding, State


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """No weights, no settings."""
    for name in ("BASE", "TRAINSET", "METRICS", "PRECISION", "WEIGHTS"):
        monkeypatch.setenv(f"SPF_BENCH_{name}", "")
    for name in ("HOME", "HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


def runtime(monkeypatch, owners, runs_on, cuda, offered=("CPUExecutionProvider",)):
    monkeypatch.setattr(doctor_runtime, "runtimes", lambda: owners)
    monkeypatch.setattr(doctor_runtime, "provider", lambda: runs_on)
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    fake = types.SimpleNamespace(get_available_providers=lambda: list(offered))
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", fake)
    return list(doctor_runtime.runtime_findings())


def test_two_runtimes_in_one_place_block(monkeypatch):
    found = runtime(monkeypatch, ["onnxruntime", "onnxruntime-gpu"], "CPUExecutionProvider", False)
    assert found[0].state is State.blocks and "overwrite each other" in found[0].detail
    assert found[0].fix.startswith("pip uninstall")


def test_cuda_that_is_used_and_a_machine_without_it_are_fine(monkeypatch):
    (found,) = runtime(monkeypatch, ["onnxruntime-gpu"], "CUDAExecutionProvider", True)
    assert found.state is State.ok and "CUDAExecutionProvider" in found.detail
    (found,) = runtime(monkeypatch, ["onnxruntime"], "CPUExecutionProvider", False)
    assert found.state is State.ok


def test_cuda_that_is_lost_is_noted_with_its_cause(monkeypatch, tmp_path):
    (found,) = runtime(monkeypatch, ["onnxruntime"], "CPUExecutionProvider", True)
    assert found.state is State.note and "no CUDA provider" in found.detail
    both = ("CUDAExecutionProvider", "CPUExecutionProvider")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    (found,) = runtime(monkeypatch, ["onnxruntime-gpu"], "CPUExecutionProvider", True, both)
    assert "libcurand" in found.detail
    (tmp_path / "nvidia" / "curand").mkdir(parents=True)
    (tmp_path / "nvidia" / "curand" / "libcurand.so.10").touch()
    (found,) = runtime(monkeypatch, ["onnxruntime-gpu"], "CPUExecutionProvider", True, both)
    assert "another CUDA" in found.detail


def test_a_runtime_that_cannot_run_blocks(monkeypatch):
    def fail():
        raise OSError("libcurand.so.10: cannot open shared object file")

    monkeypatch.setattr(doctor_runtime, "runtimes", lambda: ["onnxruntime-gpu"])
    monkeypatch.setattr(doctor_runtime, "provider", fail)
    (found,) = doctor_runtime.runtime_findings()
    assert found.state is State.blocks and "libcurand" in found.detail


def test_the_network_of_one_node_really_runs():
    pytest.importorskip("onnxruntime", reason="the paper extra is not installed")
    assert doctor_runtime.provider().endswith("ExecutionProvider")


def test_cudas_libraries_are_loaded_first_as_for_faces(monkeypatch, capsys):
    happened = []
    fake = types.SimpleNamespace(
        get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
        preload_dlls=lambda: happened.append("loaded") or print("Failed to load libcufft.so.12"),
        SessionOptions=types.SimpleNamespace,
        InferenceSession=lambda network, options, providers: (
            happened.append(providers) or types.SimpleNamespace(get_providers=lambda: providers)
        ),
    )
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", fake)
    assert doctor_runtime.provider() == "CUDAExecutionProvider"
    assert happened == ["loaded", ["CUDAExecutionProvider", "CPUExecutionProvider"]]
    assert not capsys.readouterr().out


def test_hpsv2_without_its_vocabulary(monkeypatch, tmp_path):
    place = types.SimpleNamespace(locate_file=lambda name: tmp_path / name)
    monkeypatch.setattr(doctor_paper, "distribution", lambda name: place)
    (found,) = doctor_paper._vocabulary()
    assert found.state is State.note and "lacks the vocabulary" in found.detail
    (tmp_path / "hpsv2/src/open_clip").mkdir(parents=True)
    (tmp_path / "hpsv2/src/open_clip/bpe_simple_vocab_16e6.txt.gz").touch()
    assert not list(doctor_paper._vocabulary())


def test_weights_and_terms_are_all_listed(monkeypatch):
    monkeypatch.setattr(doctor_paper, "MODULES", {})  # their import takes seconds
    monkeypatch.setattr(doctor_paper, "missing_packages", lambda: iter(()))
    found = {finding.subject: finding for finding in doctor_paper.paper_findings()}
    assert found["base model"].fix == "spf-bench weights fetch base"
    faces = found["weights: buffalo_l"]
    assert faces.state is State.blocks and "non-commercial" in faces.detail
    assert found["portraits"].state is State.note and isinstance(faces, Finding)


def test_settings_that_do_not_fit_block(monkeypatch):
    monkeypatch.setenv("SPF_BENCH_PRECISION", "half")
    assert [(f.state, f.subject) for f in doctor_paper._checkpoints()] == [(State.blocks, "SPF_BENCH_PRECISION")]
