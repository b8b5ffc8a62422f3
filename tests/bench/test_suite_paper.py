"""The paper suite: what the user decides, the portraits to train on, and errors that say all at once."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from spf_bench import paper, weights
from spf_bench.errors import UserError
from spf_bench.files import remembered
from spf_bench.method import get_method
from spf_bench.paper import Settings
from spf_bench.portraits import Portraits
from spf_bench.progress import Silent
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.scoring.fingerprint import code, fingerprint, same_code
from spf_bench.suite import Preset, get_suite
from spf_bench.testset import available
from spf_train.config import PRESETS


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without settings and weights."""
    for name in ("BASE", "TRAINSET", "METRICS", "PRECISION", "WEIGHTS"):
        monkeypatch.setenv(f"SPF_BENCH_{name}", "")
    for name in ("HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five portraits of five sizes."""
    lines = []
    for i in range(5):
        Image.new("RGB", (40 + 8 * i, 64), (40 * i, 0, 0)).save(tmp_path / f"{i}.png")
        lines.append({"file_name": f"{i}.png", "base": f"a man {i}", "target": "a hat", "category": "accessories"})
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return tmp_path


def test_settings_of_the_environment(monkeypatch, tmp_path):
    assert Settings.from_environment() == Settings()
    monkeypatch.setenv("SPF_BENCH_METRICS", "lpips_vgg, hps_v20")
    monkeypatch.setenv("SPF_BENCH_PRECISION", "bfloat16")
    monkeypatch.setenv("SPF_BENCH_TRAINSET", str(tmp_path))
    monkeypatch.setenv("SPF_BENCH_BASE", "owner/name")
    found = Settings.from_environment()
    assert found == Settings("owner/name", tmp_path, ("lpips_vgg", "hps_v20"), "bfloat16")
    assert {"vgg16", "hps_v20"} <= set(found.checkpoints) and "base" not in found.checkpoints


def test_settings_without_meaning_are_all_named(monkeypatch):
    monkeypatch.setenv("SPF_BENCH_METRICS", "lpips_vgg,fid_dino")
    monkeypatch.setenv("SPF_BENCH_PRECISION", "half")
    with pytest.raises(UserError) as caught:
        Settings.from_environment()
    assert [problem.subject for problem in caught.value.problems] == ["SPF_BENCH_METRICS", "SPF_BENCH_PRECISION"]


def test_the_suite_fits_the_rest():
    suite = get_suite("paper")
    assert {suite.testset, suite.validation} <= set(available())
    assert {preset.trainer for preset in suite.presets.values()} <= set(PRESETS)
    assert set(suite.judge_names) == set(Settings().checkpoints)


def test_what_it_does_not_measure_is_known_without_a_network(monkeypatch):
    asked = ("hit_rate", "clip_t", "kept", "fid", "hps_v20")
    assert get_suite("paper").lacking(asked) == ["hit_rate", "kept", "hps_v20"]
    monkeypatch.setenv("SPF_BENCH_METRICS", "hps_v20")
    assert get_suite("paper").lacking(asked) == ["hit_rate", "kept"]


def test_nothing_runs_without_weights_and_packages():
    with pytest.raises(UserError) as caught:
        get_suite("paper").require()
    assert {"base", "clip", "mps", "inception"} <= {problem.subject for problem in caught.value.problems}


def test_scores_need_no_base_model():
    with pytest.raises(UserError) as caught:
        _ = get_suite("paper").digests
    named = {problem.subject for problem in caught.value.problems}
    assert {"clip", "mps", "inception"} <= named and "base" not in named


def test_a_run_asks_for_all_of_it_before_anything_starts(frozen, tmp_path):
    run = Run("original", get_method("original"), get_suite("paper"), frozen, None, Preset("default", "paper", 1), 0,
              tmp_path / "runs", "cpu")  # fmt: skip
    with pytest.raises(UserError) as caught:
        execute(run, Silent())
    assert {"base", "clip"} <= {problem.subject for problem in caught.value.problems}
    assert not (tmp_path / "runs").exists()


def test_digests_tell_the_precision(monkeypatch):
    monkeypatch.setattr(Settings, "require", lambda self, base=False: None)
    monkeypatch.setattr(weights, "digest", lambda name: name)
    assert get_suite("paper").digests["mps"] == "mps"
    monkeypatch.setenv("SPF_BENCH_PRECISION", "bfloat16")
    assert get_suite("paper").digests["mps"] == "mps in bfloat16"


def test_metrics_on_request_leave_the_way_of_scoring_as_it_is(monkeypatch):
    monkeypatch.setattr(Settings, "require", lambda self, base=False: None)
    monkeypatch.setattr(weights, "digest", lambda name: name)
    before = get_suite("paper")
    assert before.digests_on_request == {}
    monkeypatch.setenv("SPF_BENCH_METRICS", "lpips_vgg,seg_cons_hungarian,hps_v20")
    after = get_suite("paper")
    assert fingerprint(before) == fingerprint(after)
    assert set(after.digests_on_request) == {"vgg16", "hps_v20"}
    known = SimpleNamespace(scoring_code=code(before), weights=after.digests | after.digests_on_request)
    assert same_code(known, before) and same_code(known, after)
    known.weights["hps_v20"] = "another"
    assert not same_code(known, after)


@pytest.mark.parametrize(
    ("keys", "needed"),
    [
        (("psnr", "ssim"), set()),
        (("mps",), {"clip", "mps"}),
        (("lpips_vgg", "id"), {"vgg16", "buffalo_l"}),
        (("lpips", "clip_open"), {"alexnet", "clip_datacomp"}),
    ],
)
def test_a_few_metrics_need_their_own_checkpoints_alone(monkeypatch, keys, needed):
    asked = []
    monkeypatch.setattr(paper, "missing_packages", lambda only: asked.append(only) or iter(()))
    suite = get_suite("paper").limited_to(keys)
    assert set(suite.settings.checkpoints) == needed and suite.on_request == tuple(key for key in keys if "vgg" in key)
    if needed:
        with pytest.raises(UserError) as caught:
            _ = suite.digests
        assert {problem.subject for problem in caught.value.problems} == needed
    else:
        assert suite.digests == {} and [metric.key for metric in suite.metrics("cpu")] == [*keys]
    assert asked and set(asked) == {keys}


def test_an_unknown_metric_is_told_from_all_there_are():
    with pytest.raises(UserError, match="no metric of the suite 'paper' is called 'lpips_vg'") as caught:
        get_suite("paper").limited_to(["psnr", "lpips_vg"])
    assert "lpips_vgg" in caught.value.why


def test_packages_of_a_few_metrics(monkeypatch):
    monkeypatch.setattr(paper, "MODULES", {"no_such_package": "id, hps", "no_other": "clip_open"})
    assert [problem.subject for problem in paper.missing_packages(["hps"])] == ["no_such_package"]
    assert not list(paper.missing_packages(["psnr"]))


def test_packages_that_cannot_be_imported_are_named_with_the_reason(monkeypatch):
    monkeypatch.setattr(paper, "MODULES", {"json": "nobody", "no_such_package": "id"})
    (problem,) = paper.missing_packages()
    assert problem.subject == "no_such_package" and "No module named" in problem.why
    assert problem.fix == paper.INSTALL
    monkeypatch.setattr(paper, "MODULES", {"onnxruntime": "id"})
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (problem,) = paper.missing_packages()
    assert "never both" in problem.fix  # the extra brings one at most, and a GPU machine wants the other


def test_portraits_are_drawn_by_seed_and_square(folder, monkeypatch):
    monkeypatch.setenv("SPF_BENCH_TRAINSET", str(folder))
    suite = get_suite("paper")
    drawn = [sample.id for sample in suite.trainset(0, 3)]
    assert drawn == [sample.id for sample in suite.trainset(0, 3)] and len(set(drawn)) == 3
    assert [sample.id for sample in suite.trainset(0, 99)][:3] == drawn
    assert {tuple(sample.id for sample in suite.trainset(seed, 5)) for seed in range(5)} != {tuple(drawn)}
    sample = suite.trainset(0, 1)[0]
    assert sample.image.shape == (512, 512, 3) and sample.image.dtype == np.uint8
    assert sample.image[0, 0, 0] == 40 * int(sample.id[0])


def test_facts_of_the_portraits_follow_their_texts(folder, monkeypatch):
    monkeypatch.setenv("SPF_BENCH_TRAINSET", str(folder))
    before = get_suite("paper").trainset_facts(0, 3)
    text = (folder / "metadata.jsonl").read_text()
    (folder / "metadata.jsonl").write_text(text.replace("a man 3", "a woman 3"))
    assert get_suite("paper").trainset_facts(0, 3) != before


def test_facts_of_the_portraits_follow_their_images(folder, monkeypatch):
    monkeypatch.setenv("SPF_BENCH_TRAINSET", str(folder))
    before = get_suite("paper").trainset_facts(0, 3)
    os.utime(folder / "3.png", ns=(1, 1))
    assert get_suite("paper").trainset_facts(0, 3) == before  # copied, not changed
    Image.new("RGB", (40, 64), (1, 2, 3)).save(folder / "3.png")
    assert get_suite("paper").trainset_facts(0, 3) != before


def test_portraits_that_did_not_change_are_read_once(folder, monkeypatch):
    monkeypatch.setenv("SPF_BENCH_TRAINSET", str(folder))
    read, hashed = [], remembered.file_sha256
    monkeypatch.setattr(remembered, "file_sha256", lambda path: read.append(path.name) or hashed(path))
    before = get_suite("paper").trainset_facts(0, 3)
    assert sorted(read) == [f"{i}.png" for i in range(5)]
    os.utime(folder / "3.png", ns=(1, 1))
    assert get_suite("paper").trainset_facts(0, 3) == before and read[5:] == ["3.png"]
    (memory,) = (folder / "XDG_CACHE_HOME" / "spf-bench" / "portraits").glob("*.json")
    memory.write_text("torn")
    assert get_suite("paper").trainset_facts(0, 3) == before and len(read) == 11


def test_what_was_hashed_before_an_error_is_not_hashed_again(folder, tmp_path, monkeypatch):
    names, hashed = [f"{i}.png" for i in range(5)], remembered.file_sha256

    def read(path):
        if path.name == "4.png":
            raise OSError("a bad sector")
        return hashed(path)

    monkeypatch.setattr(remembered, "file_sha256", read)
    with pytest.raises(UserError, match=r"cannot read .*4\.png"):
        remembered.sha256_of(folder, names, tmp_path / "memory")
    monkeypatch.setattr(remembered, "file_sha256", lambda path: pytest.fail("read again"))
    assert len(set(remembered.sha256_of(folder, names[:4], tmp_path / "memory"))) == 4


def test_a_slice_of_portraits_opens_nothing(folder):
    portraits = Portraits.open(folder, 32)
    (folder / "4.png").write_text("no image")
    assert len(portraits[1:]) == 4
    assert portraits[4].file == folder / "4.png"
    with pytest.raises(UserError, match=r"cannot read .*4\.png"):
        _ = portraits[4].image


def test_lines_that_cannot_be_used_are_named_together(folder):
    good = {"file_name": "0.png", "base": "a man", "target": "a hat", "category": "accessories"}
    bad = [
        "{",
        json.dumps(good | {"file_name": "../0.png"}),
        json.dumps(good | {"file_name": "/etc/passwd"}),
        json.dumps(good | {"category": "hats"}),
        json.dumps(good | {"file_name": "9.png"}),
        json.dumps(good | {"base": 3}),
        json.dumps({"file_name": "0.png"}),
        json.dumps([1]),
        '{"file_name": "\\u0000"}',
    ]
    (folder / "metadata.jsonl").write_text("\n".join([json.dumps(good), json.dumps(good), *bad]))
    with pytest.raises(UserError, match="10 lines") as caught:
        Portraits.open(folder, 32)
    assert [problem.subject for problem in caught.value.problems] == [f"line {i}" for i in range(2, 12)]


@pytest.mark.parametrize("content", [None, "", "\n\n"])
def test_a_folder_without_portraits(tmp_path, content):
    if content is not None:
        (tmp_path / "metadata.jsonl").write_text(content)
    with pytest.raises(UserError, match="no portraits"):
        Portraits.open(tmp_path, 32)


def test_nothing_to_train_on_is_said():
    with pytest.raises(UserError, match="nothing to train on") as caught:
        get_suite("paper").trainset(0, 1)
    assert "SPF_BENCH_TRAINSET" in caught.value.fix
