"""The Inception network against torch-fidelity's, with random weights of the real architecture."""

import numpy as np
import pytest
import torch
from torch import nn

from spf_bench.errors import UserError
from spf_bench.metrics.fid import FID, CleanFID
from spf_bench.metrics.inception import InceptionEncoder
from spf_bench.metrics.inception_model import Inception
from spf_bench.metrics.kid import KID
from tests.bench.metrics.photograph import photograph
from tests.bench.metrics.stand_ins import batch, noise_pictures

PARAMETERS = 21_785_568


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file as published, with random weights that keep the signal alive through all layers."""
    torch.manual_seed(0)
    network = Inception()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    classifier = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(network.state_dict() | classifier, path)
    return path


@pytest.fixture(scope="module")
def encoder(weights):
    return InceptionEncoder.from_weights(weights, "cpu")


def test_it_has_the_published_size():
    with torch.device("meta"):
        network = Inception()
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS


def test_features_are_torch_fidelitys(weights, encoder):
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", exc_type=Exception)
    theirs = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights))
    images = np.stack([photograph(96), noise_pictures(1, 96)[0]])
    with torch.no_grad():
        (expected,) = theirs(torch.from_numpy(images).permute(0, 3, 1, 2))
    ours = encoder.encode(images)["pooled"]
    assert ours.shape == (2, 2048) and ours.std() > 0.1
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


def test_names_and_digests_tell_the_resize_apart(encoder):
    clean = encoder.resized("clean")
    assert (encoder.name, clean.name) == ("inception_tf1", "inception_clean")
    assert clean.digest != encoder.digest and clean.network is encoder.network
    assert len(clean.digest) == 64


def test_sets_share_one_look_at_each_image(encoder):
    looked = []
    encoder.network.register_forward_hook(lambda module, args, out: looked.append(len(out)))
    images = noise_pictures(2, 32)
    sides = batch(images, [images[0], images[0]])
    for metric in (FID(encoder), KID(encoder)):
        a, b = metric.features(sides.original), metric.features(sides.custom)
        assert torch.equal(a[0], b[1])
    assert looked == [2]
    assert CleanFID(encoder.resized("clean")).features(sides.custom).shape == (2, 2048)
    assert looked == [2, 1]  # nobody has asked it about the second original


def test_bf16_is_near_and_has_its_own_digest(weights, encoder):
    rounded = InceptionEncoder.from_weights(weights, "cpu", torch.bfloat16)
    images = np.stack(noise_pictures(1, 32))
    a, b = (e.encode(images)["pooled"] for e in (encoder, rounded))
    assert b.dtype == torch.float32 and torch.cosine_similarity(a, b).item() > 0.999 and not torch.equal(a, b)
    assert rounded.digest != encoder.digest


def test_another_network_is_refused(tmp_path):
    torch.save({"features.0.weight": torch.ones(1)}, tmp_path / "alexnet.pth")
    with pytest.raises(UserError, match=r"alexnet\.pth is of another network than Inception"):
        InceptionEncoder.from_weights(tmp_path / "alexnet.pth", "cpu")
