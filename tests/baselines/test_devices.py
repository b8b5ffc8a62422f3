"""Every baseline where all networks are on a GPU: no tensor is left behind on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from baselines.adapted import Adapted
from baselines.magnet.method import Magnet
from baselines.tokencompose.method import TokenCompose
from spf_bench.models.backbone import Backbone
from spf_bench.run.plan import Run
from tests.baselines.test_adapted import ADDING, TRIPLES, masks, plan, trained  # noqa: F401
from tests.bench.conftest import SAMPLING, MiniSuite, frozen, installed, planned, suite  # noqa: F401
from tests.pretend_cuda import pretended_gpu


@pytest.mark.parametrize("kind", [*ADDING, TokenCompose])
def test_what_trains(plan: Callable[..., Run], suite: MiniSuite, kind: type[Adapted]) -> None:  # noqa: F811
    run = replace(plan(kind), device="cuda")
    with pretended_gpu():
        folder, _ = trained(run)
        backbone = Backbone.from_folder(suite.pipeline, SAMPLING, "cuda")
        noise = torch.stack([backbone.noise_for(triple) for triple in TRIPLES])
        run.method.load(backbone, folder)
        images = run.method.sample(backbone, TRIPLES, noise)
    assert images.shape == (3, 64, 64, 3)


def test_magnet(suite: MiniSuite) -> None:  # noqa: F811
    with pretended_gpu():
        backbone, method = Backbone.from_folder(suite.pipeline, SAMPLING, "cuda"), Magnet()
        method.load(backbone, None)
        noise = torch.stack([backbone.noise_for(triple) for triple in TRIPLES])
        assert method.sample(backbone, TRIPLES, noise).shape == (3, 64, 64, 3)
