"""Training in the world goes on after an interruption as if there had been none."""

import torch
from torch import nn

from spf_bench.world.fit import Fit, Schedule, batch_indices


def _train(folder, stop_at=None):
    torch.manual_seed(0)
    model = nn.Linear(4, 1)

    def progress(what, done, total):
        if done == stop_at:
            raise KeyboardInterrupt

    def loss(step, generator):
        x = torch.randn(8, 4, generator=generator)
        return {"square": (model(x).float() - x.sum(dim=1, keepdim=True)).square().mean()}

    Fit(folder, torch.device("cpu"), 0, progress, every=5).run(
        "toy", model, Schedule(steps=40, batch=8, lr=0.2, warmup=2, ema=0.5), loss
    )
    return model


def test_an_interrupted_training_ends_where_an_undisturbed_one_does(tmp_path):
    whole = _train(tmp_path / "whole")
    for stop in (7, 23):
        try:
            _train(tmp_path / "cut", stop_at=stop)
        except KeyboardInterrupt:
            continue
    resumed = _train(tmp_path / "cut")
    assert torch.equal(whole.weight, resumed.weight)
    assert torch.equal(whole.bias, resumed.bias)


def test_it_learns(tmp_path):
    assert (_train(tmp_path).weight - 1).abs().max() < 0.2


def test_batches_pass_over_every_sample_once_an_epoch():
    seen = torch.cat([batch_indices(12, 4, step, seed=1) for step in range(3)])
    assert sorted(seen.tolist()) == list(range(12))
    assert not torch.equal(batch_indices(12, 4, 0, seed=1), batch_indices(12, 4, 3, seed=1))
