"""Every benchmark runs at tiny sizes, prints its table and writes its JSON; the runner finds, runs and gathers them."""

import importlib
import json
import queue
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as runner
from benchmarks import data_workers, measure, soak, startup
from benchmarks.training_parts import Networks
from spf_train.base_model import load_pipeline
from spf_train.clip import FrozenClip
from spf_train.prediction import Diffusion


def figures(name: str, folder: Path, *words: str) -> dict[str, Any]:
    """What a benchmark writes in its quick form."""
    to = folder / f"{name}.json"
    importlib.import_module(f"benchmarks.{name}").main(["--quick", "--json", str(to), *words])
    found = json.loads(to.read_text())
    assert found["question"] == runner.known()[name] and found["settings"]["quick"] is True
    assert found["machine"]["packages"]["torch"] and found["machine"]["processor"]
    return found["figures"]


def test_every_benchmark_asks_one_question() -> None:
    questions = runner.known()
    assert {"scoring", "gpu_scoring", "generation", "startup", "scale", "data_workers"} < set(questions)
    assert not {"measure", "many_runs", "plain_stage", "training_parts"} & set(questions)
    assert [name for name, question in questions.items() if not question.endswith("?")] == []


@pytest.mark.parametrize(
    "name", ["compiled", "composite", "data_pipeline", "enhance_decode", "main_job", "map_truth", "trainset_scale"]
)
def test_it_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(name, tmp_path)
    assert len(capsys.readouterr().out.splitlines()) > 1


def test_generation_compares_equal_images(tmp_path: Path) -> None:
    found = figures("generation", tmp_path)
    assert max(found["levels_apart"].values()) <= 2 and found["ratio"]["pipeline, one by one"] == 1
    assert found["ratio"].keys() == found["images_per_second"].keys() == found["levels_apart"].keys()


def test_scoring_equals_the_fields_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        from segment_anything import automatic_mask_generator

        from tests.bench.metrics.test_sam import nms_by_loops

        monkeypatch.setattr(automatic_mask_generator, "batched_nms", nms_by_loops)
    except Exception:
        pass  # then its column is left out, which is told
    found = figures("scoring", tmp_path)
    assert {"clip_i", "clip_t", "hps", "mps"} <= found["difference"].keys()
    assert max(found["difference"].values()) < 1e-2 and found["ratio"].keys() == {"first", "second"}
    assert len(found["difference"]) + len([n for n in found["notes"] if n.startswith("left out")]) >= 8


def test_scoring_in_full_tells_each_networks_seconds(tmp_path: Path) -> None:
    found = figures("gpu_scoring", tmp_path, "--device", "cpu")
    first, second = (found["seconds"][which] for which in ("first method", "second method"))
    assert first["clip_336"] > 0 and first["in all"] >= sum(s for n, s in first.items() if n != "in all") * 0.99
    assert second["inception_tf1"] < first["inception_tf1"]  # its originals are known


def test_startup_names_what_a_command_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "COMMANDS", {"--help": ("--help",)})
    monkeypatch.setattr(startup, "TORCH", startup.BARE)
    found = figures("startup", tmp_path)
    assert found["--help"]["heavy"] == [] and found["--help"]["cpu_min"] > 0


def test_scale_measures_commands_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import scale

    monkeypatch.setattr(scale, "COMMANDS", {"table": ("table",)})
    assert figures("scale", tmp_path)["table"]["peak_mib"] > 10


def test_workers_share_a_batch(tmp_path: Path, pipe_dir: Path, clip_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(device: str) -> Networks:
        pipe = load_pipeline(pipe_dir, device)
        diffusion = Diffusion.from_scheduler(pipe.scheduler)
        return Networks(pipe.unet, pipe.vae, FrozenClip.from_pretrained(clip_dir), diffusion, device)

    told: queue.Queue[tuple[float, float]] = queue.Queue()

    def alone(world: int, folder: Path, asked: Any) -> float:
        data_workers.read(0, world, folder, asked, threading.Barrier(1), told)
        return float(world)

    monkeypatch.setattr(data_workers, "rate", alone)
    monkeypatch.setattr(Networks, "world", tiny)
    found = figures("data_workers", tmp_path, "--device", "cpu")
    assert found["samples_per_second"] == {"1 worker": 1.0, "2 workers": 2.0} and found["stage1_consumes"] > 0
    assert all(start < end for start, end in list(told.queue))


def test_soak_kills_and_compares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = "import os, sys, time; time.sleep(.2); os.makedirs(sys.argv[1], exist_ok=True)"
    script = f"{write}; open(sys.argv[1] + '/a.jsonl', 'w').write('{{}}\\n')"

    def begin(name: str, folder: Path, out: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", script, str(out)], start_new_session=True)

    monkeypatch.setattr(soak, "begin", begin)
    found = figures("soak", tmp_path, "--work", str(tmp_path / "work"))
    assert found["commands"][0]["kills"] == 1 and found["commands"][0]["ends"] >= 1


def test_soak_compares_weights_and_not_the_order_of_their_metadata(tmp_path: Path) -> None:
    for name, metadata, last in (("a", '"b": "1", "c": "2"', 0), ("b", '"c": "2", "b": "1"', 0), ("c", '"b": "1"', 1)):
        header = f'{{"__metadata__": {{{metadata}}}, "w": {{"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}}}'
        raw = len(header).to_bytes(8, "little") + header.encode() + bytes([7, last])
        (tmp_path / f"{name}.safetensors").write_bytes(raw)
    a, b, c = (soak.told(tmp_path / f"{name}.safetensors") for name in "abc")
    assert a == b != c and a[1] == bytes([7, 0])


def test_cases_take_turns() -> None:
    order: list[str] = []
    found = measure.alternate({name: lambda n=name: order.append(n) for name in "abc"}, 3, warm_up=0)  # type: ignore[misc]
    assert "".join(order) == "abcbcacab"
    assert [len(timing.wall) for timing in found.values()] == [3, 3, 3]
    timing = measure.Timing((5.0, 1.0, 3.0), (0.3, 0.1, 0.2))
    assert (timing.seconds(), timing.seconds("cuda")) == (0.2, 3.0)
    assert timing.facts()["wall_median"] == statistics.median(timing.wall)


def test_a_failed_child_is_told() -> None:
    with pytest.raises(RuntimeError, match="ended with exit 3:\nno"):
        measure.child([sys.executable, "-c", "import sys; print('no', file=sys.stderr); sys.exit(3)"])


def test_the_runner_gathers_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
        name = command[2].removeprefix("benchmarks.")
        if name == "scale":
            return subprocess.CompletedProcess(command, 2)
        Path(command[-1]).write_text(json.dumps({"words": command[3:-2]}))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(runner.subprocess, "run", run)
    to = tmp_path / "all.json"
    assert runner.main(["scale", "startup", "--quick", "--json", str(to)]) == runner.FAILED
    found = json.loads(to.read_text())["benchmarks"]
    assert found["scale"]["failed"] == "exit 2" and found["startup"]["words"] == ["--quick"]
    assert runner.main(["scoring", "--pairs", "2"]) == 0


def test_the_runner_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in ((["speed"], "no such benchmark: speed"), (["scale", "soak", "--x"], "--x: of one benchmark")):
        with pytest.raises(SystemExit):
            runner.main(words)
        assert told in capsys.readouterr().err
    assert runner.main(["--list"]) == 0
    assert "scoring" in capsys.readouterr().out
