"""The command line: a run, its table, the lists, mistakes without tracebacks, Ctrl-C, and a quick --help."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from spf_bench import testset
from spf_bench.doctor import checks as doctor
from spf_bench.environment import pick_device
from spf_bench.errors import UserError

Cli = Callable[..., object]


def test_run_then_table(cli: Cli, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for method in ("original", "prompt_only"):
        done = cli("run", "--method", method, "--suite", "mini", "--limit", 4, "--runs", runs, "--device", "cpu")
        assert done.exit_code == 0, done.output
        assert "record" in done.stdout and "n = 4" in done.stdout
    again = cli("run", "--method", "original", "--suite", "mini", "--limit", 4, "--runs", runs, "--device", "cpu")
    assert again.exit_code == 0 and "done before" in again.stderr

    table = cli("table", "--runs", runs, "--published")
    assert table.exit_code == 0 and "Prompt only" in table.stdout and "Published figures" in table.stdout
    assert cli("table", "--runs", runs, "--format", "csv").stdout.startswith("suite,testset,")
    assert "accessories: n = 1" in cli("table", "--runs", runs, "--by", "category").stdout


def test_every_run_scores_the_original_portraits_beside_the_method(cli: Cli, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    done = cli("run", "--method", "prompt_only", "--suite", "mini", "--limit", 4, "--runs", runs, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "Original portrait" in done.stdout and "over-alignment cannot be told" not in done.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("run", "--method", "spg"), "did you mean 'spf'"),
        (("check", "nonsense"), "known: "),
        (("run", "--method", "spf", "--suite", "word"), "did you mean 'world'"),
        (("run", "--method", "spf", "--suite", "mini", "--testset", "mino"), "did you mean 'mini'"),
        (("run", "--method", "spf", "--suite", "mini", "--preset", "fast"), "no preset is called 'fast'"),
        (("run", "--method", "spf", "--suite", "mini", "--limit", "7"), "mini has 6 triples"),
        (("run", "--method", "prompt_only", "--suite", "mini", "--on", "naive"), "--set on=naive was given"),
        (("table", "--runs", "nowhere"), "no finished run in nowhere"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(cli: Cli, words: tuple[str, ...], complaint: str) -> None:
    result = cli(*words)
    assert result.exit_code == 2
    assert complaint in result.stderr and "Traceback" not in result.output


HUGE = 10**23


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--method", "prompt_only", "--seed", -1),
        ("run", "--method", "prompt_only", "--seed", HUGE),
        ("run", "--method", "prompt_only", "--threads", HUGE),
        ("train", "--seed", -1),
        ("train", "--seed", HUGE),
        ("ablate", "--table", "1", "--seeds", HUGE),
        ("show", "sfcm", "--triple", "mini-0000", "--seed", HUGE),
        ("study", "make", "--seed", -1),
        ("study", "make", "--seed", HUGE),
        ("study", "make", "--minutes", "inf"),
        ("study", "make", "--minutes", "nan"),
        ("study", "make", "--participants", HUGE),
        ("study", "tally", "x", "--least-seconds", "nan"),
        ("world", "show", "--seed", -1),
        ("world", "show", "--n", HUGE),
        ("world", "check", "--limit", 0),
        ("trainset", "build", "--to", "x", "--seed", HUGE),
        ("trainset", "build", "--to", "x", "--guidance", "inf"),
        ("trainset", "build", "--to", "x", "--hps-min", "nan"),
        ("testset", "build", "--batch", HUGE),
        ("report", "--max-mb", "inf"),
    ],
)
def test_numbers_that_nothing_could_use_are_refused_at_once(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli(*words)
    assert result.exit_code == 2 and "Invalid value for" in result.stderr, result.output
    assert not any(tmp_path.rglob("*.json"))


def test_ctrl_c_says_how_to_go_on(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spf_bench.models.backbone.Backbone.render", interrupt)
    result = cli("run", "--method", "prompt_only", "--suite", "mini", "--runs", tmp_path / "runs")
    assert result.exit_code == 130
    assert "nothing that was done is lost" in result.stderr and "resume  spf-bench" in result.stderr


def test_lists(cli: Cli, installed: dict[str, str]) -> None:
    installed["gone"] = "no_such_module:Gone"
    methods = cli("list", "methods")
    assert "arXiv:2504.00396" in methods.stdout and "no_such_module" in methods.stderr
    metrics = cli("list", "metrics").stdout
    keys = [line.split()[0] for line in metrics.splitlines()[1:] if line.strip()]
    table_1 = ["fid", "lpips", "id", "clip_i", "seg_cons", "clip_t", "hps", "mps"]
    assert [key for key in keys if key in table_1] == table_1
    assert "mini" in cli("list", "testsets").stdout


def test_doctor_names_what_blocks_and_the_command_that_mends_it(
    cli: Cli, frozen: testset.TestSet, tmp_path: Path
) -> None:
    (frozen.folder / testset.TRIPLES).write_text("")
    result = cli("doctor", "--suite", "mini", "--runs", tmp_path / "runs")
    assert result.exit_code == 1
    assert "not as it was frozen" in result.stdout and "git checkout" in result.stdout


def test_doctor_is_content_when_nothing_is_missing(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = dict.fromkeys(("spf-bench", *doctor.PACKAGES), "1")
    monkeypatch.setattr(doctor, "package_versions", lambda: versions)
    result = cli("doctor", "--suite", "mini", "--runs", tmp_path / "runs")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("device", "gpus", "why"),
    [
        ("tpu", 0, "cannot compute on it here"),
        ("cuda:x", 2, "cannot compute on it here"),
        ("meta", 0, "cannot compute on it here"),
        ("cuda", 0, "torch sees no CUDA device"),
        ("cuda:1", 1, "torch sees 1 CUDA device, cuda:0"),
        ("cuda:9", 2, "torch sees 2 CUDA devices, cuda:0 to cuda:1"),
        ("cuda:1", 2, None),
        ("cuda", 1, None),
        ("cpu", 0, None),
    ],
)
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, device: str, gpus: int, why: str | None) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    if why is None:
        assert pick_device(device) == device
        return
    with pytest.raises(UserError, match=f"device '{device}' is not available") as caught:
        pick_device(device)
    assert why in caught.value.why


def test_help_needs_no_heavy_import() -> None:
    code = (
        "import sys, spf_bench.cli.app; "
        "print(sorted({'torch', 'diffusers', 'pandas', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_all_methods_in_one_command(cli: Cli, installed: dict[str, str], tmp_path: Path) -> None:
    for trained in ("naive", "spf"):
        del installed[trained]
    runs = tmp_path / "runs"
    done = cli("run", "--method", "all", "--suite", "mini", "--limit", 2, "--runs", runs, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("record  ") == 2 and "Original portrait" in done.stdout


def test_the_world_can_be_looked_at(cli: Cli, tmp_path: Path) -> None:
    done = cli("world", "show", "held_out", "--n", 3, "--to", tmp_path / "sheet.png")
    assert done.exit_code == 0, done.output
    assert Image.open(tmp_path / "sheet.png").size == (3 * 128 + 2 * 4, 128)
    assert len([line for line in done.stdout.splitlines() if ", " in line]) == 3


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout.startswith("spf-bench ")


def test_variables_of_the_paper_suite_stop_no_other(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPF_BENCH_TRAINSET", "portraits")
    assert "no method is called 'spg'" in cli("run", "--suite", "mini", "--method", "spg").stderr
