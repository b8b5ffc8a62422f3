"""The paper suite's metrics as they are put together: which, in which order, over networks loaded once."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from spf_bench import paper, weights
from spf_bench.errors import UserError
from spf_bench.metrics import dino, image_reward, inception, insight, lpips_trunk, mps, sam, sam_automatic
from spf_bench.metrics.base import Facts
from spf_bench.metrics.catalogue import catalogue
from spf_bench.metrics.clip_encoder import ClipEncoder
from spf_bench.metrics.open_clip_encoder import OpenClipEncoder
from spf_bench.metrics.paper import paper_metrics
from spf_bench.paper import ON_REQUEST, Settings

COLUMNS = [
    *("fid", "fid_clean", "kid", "cmmd", "lpips", "psnr", "ssim", "structure", "id", "seg_cons"),
    *("clip_i", "clip_t", "clip_open", "hps", "mps", "image_reward"),
]
NETWORKS = [
    inception.InceptionEncoder,
    dino.DinoEncoder,
    dino.DinoV2Encoder,
    lpips_trunk.LpipsTrunk,
    insight.FaceEncoder,
    sam.SamEncoder,
    mps.MPSEncoder,
    image_reward.ImageRewardEncoder,
]


class Stand(SimpleNamespace):
    """Stands for a network; remembers what it was loaded from."""

    compact, device, heads = True, torch.device("cpu"), ()

    def resized(self, dialect: str) -> "Stand":
        return Stand(name=f"{self.name}_{dialect}", digest=self.digest, loaded=self.loaded)


@pytest.fixture
def loaded(monkeypatch) -> list[tuple]:
    """Every checkpoint is there, and loading a network only notes what was asked for."""
    made: list[tuple] = []

    def load(cls, *args, **kwargs):
        made.append((cls.__name__, *args, *kwargs.values()))
        return Stand(name=f"{cls.__name__}-{len(made)}", digest="0" * 64, loaded=args)

    for network in NETWORKS:
        assert hasattr(network, "from_weights")
        monkeypatch.setattr(network, "from_weights", classmethod(load))
    beside = classmethod(lambda cls, sam: Stand(name="automatic", digest=sam.digest, loaded=sam.loaded))
    monkeypatch.setattr(sam_automatic.SamAutomaticEncoder, "beside", beside)
    monkeypatch.setattr(OpenClipEncoder, "from_weights", classmethod(load))
    monkeypatch.setattr(ClipEncoder, "from_pretrained", classmethod(load))
    monkeypatch.setattr(paper, "missing_packages", lambda only=(): iter(()))
    monkeypatch.setattr(weights, "require", lambda names: None)
    monkeypatch.setattr(weights, "path", lambda name: Path("/weights") / name)
    monkeypatch.setattr(weights, "digest", lambda name: f"{name:0<64}")
    return made


def test_the_columns_of_the_table_in_order(loaded):
    assert [metric.key for metric in paper_metrics("cpu", Settings())] == COLUMNS


def test_metrics_on_request(loaded):
    keys = [metric.key for metric in paper_metrics("cpu", Settings(extra=tuple(ON_REQUEST)))]
    assert set(keys) == {*COLUMNS, *ON_REQUEST}
    assert len(loaded) == len(set(loaded)), "a network was loaded twice"


@pytest.mark.parametrize(
    ("only", "networks"),
    [
        (("psnr", "ssim"), []),
        (("clip_i", "clip_t"), ["ClipEncoder"]),
        (("lpips_vgg", "mps"), ["LpipsTrunk", "MPSEncoder"]),
    ],
)
def test_only_what_is_asked_for_is_loaded(loaded, only, networks):
    assert [metric.key for metric in paper_metrics("cpu", Settings(only=only))] == [*only]
    assert [name for name, *_ in loaded] == networks


def test_every_metric_uses_the_checkpoints_that_name_it(loaded):
    for metric in paper_metrics("cpu", Settings(extra=tuple(ON_REQUEST))):
        used = {str(arg.name) for e in metric.encoders for arg in getattr(e, "loaded", ()) if isinstance(arg, Path)}
        named = {row.name for row in weights.CHECKPOINTS.values() if metric.key in row.used_by}
        assert used == named, metric.key


def test_precision_reaches_the_networks_and_their_digests(loaded):
    paper_metrics("cpu", Settings(precision="bfloat16"))
    clips = [made for made in loaded if made[0] in ("ClipEncoder", "OpenClipEncoder", "MPSEncoder")]
    assert len(clips) == 5 and all(torch.bfloat16 in made for made in clips)
    assert not any(str(arg).startswith("clip000") for made in clips for arg in made)


def test_facts_of_all_of_them_are_complete():
    found = {metric.key: metric for metric in catalogue()}
    for key in (*COLUMNS, *ON_REQUEST):
        assert not [fact for fact in Facts.__annotations__ if not hasattr(found[key], fact)], key


@pytest.mark.parametrize("kind", catalogue(), ids=lambda kind: kind.key)
def test_its_file_opens_with_what_a_reader_must_know(kind):
    said = " ".join((sys.modules[kind.__module__].__doc__ or "").split())
    for what in ("(Papers?|Source): ", "Weights: ", "Range: ", "comparable|set beside|[Pp]ublished table"):
        assert re.search(what, said), f"{kind.__module__} does not say its {what}"


def test_what_is_missing_is_named_before_anything_loads(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(UserError) as caught:
        paper_metrics("cpu", Settings())
    subjects = {problem.subject for problem in caught.value.problems}
    assert {"inception", "sam_vit_h", "alexnet"} <= subjects
    assert all(problem.fix for problem in caught.value.problems)
