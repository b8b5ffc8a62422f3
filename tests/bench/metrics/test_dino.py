"""The vision transformer against timm's, how images reach it, and the distance of structures."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from spf_bench.errors import UserError
from spf_bench.metrics.dino import VITB8, VITL14, DinoEncoder, DinoV2Encoder, StructureDistance, imagenet
from spf_bench.metrics.fid import FDDinoV2
from spf_bench.metrics.resize import pil_bicubic
from spf_bench.metrics.vit import Shape, ViT
from tests.bench.metrics.photograph import photograph
from tests.bench.metrics.stand_ins import Given, batch, noise_pictures, picture

SMALL = Shape(patch=8, width=48, depth=3, heads=4, grid=4)
SCALED = Shape(patch=8, width=48, depth=3, heads=4, grid=4, scaled=True)


def random_vit(shape: Shape) -> ViT:
    torch.manual_seed(0)
    network = ViT(shape).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def timms(shape: Shape, **options):
    module = pytest.importorskip("timm.models.vision_transformer", exc_type=Exception)
    return module.VisionTransformer(
        img_size=shape.grid * shape.patch, patch_size=shape.patch, embed_dim=shape.width, depth=shape.depth,
        num_heads=shape.heads, num_classes=0, init_values=1.0 if shape.scaled else None, **options,
    )  # fmt: skip


@pytest.mark.parametrize("shape", [SMALL, SCALED])
def test_tokens_are_timms(shape):
    ours, theirs = random_vit(shape), timms(shape).eval()
    theirs.load_state_dict(ours.state_dict())
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(pixels), theirs.forward_features(pixels), atol=1e-5, rtol=1e-5)


def test_keys_are_what_the_last_attention_multiplies_with():
    ours, theirs = random_vit(SMALL), timms(SMALL).eval()
    theirs.load_state_dict(ours.state_dict())
    seen = []
    theirs.blocks[-1].attn.qkv.register_forward_hook(lambda module, args, out: seen.append(out))
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        keys = ours.last_keys(pixels)
        theirs.forward_features(pixels)
    torch.testing.assert_close(keys, seen[0][..., 48:96], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("shape", "millions"), [(VITB8, 85.807872), (VITL14, 304.367616)])
def test_published_sizes_and_names(shape, millions):
    with torch.device("meta"):
        ours = ViT(shape)
        theirs = timms(shape)
    assert {n: p.shape for n, p in ours.named_parameters()} == {n: p.shape for n, p in theirs.named_parameters()}
    assert sum(p.numel() for p in ours.parameters()) == millions * 1e6


def test_position_maps_are_stretched_by_a_tenth_more():
    network = ViT(Shape(patch=14, width=2, depth=1, heads=1, grid=37))
    with torch.no_grad():  # a ramp down the rows: the value read is the place it is read from
        rows = torch.arange(37.0).repeat_interleave(37)
        network.pos_embed[0, 1:] = torch.stack([rows, rows], 1)
        network.pos_embed[0, 0] = 7.0
    positions = network.positions(16, 16)[0]
    assert positions.shape == (257, 2) and positions[0].tolist() == [7, 7]
    read = positions[1:, 0].reshape(16, 16)[2:-2, 0]
    expected = (torch.arange(2, 14) + 0.5) * 37 / 16.1 - 0.5
    torch.testing.assert_close(read, expected, atol=0.07, rtol=0)  # without the tenth the last is .19 off
    assert network.positions(37, 37) is network.pos_embed


def test_dinov2_sees_pils_bicubic_at_224():
    network = random_vit(Shape(patch=14, width=24, depth=1, heads=2, grid=16, scaled=True))
    image = photograph(300)
    pixels = torch.from_numpy(pil_bicubic(image[None], 224)).permute(0, 3, 1, 2).float() / 255
    mean, std = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    expected = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(imagenet(pixels), expected)
    with torch.no_grad():
        pooled = network(expected)[:, 0]
    torch.testing.assert_close(DinoV2Encoder(network).encode(image[None])["pooled"], pooled)


def test_fd_dinov2_is_a_frechet_distance_of_the_tokens():
    encoder = DinoV2Encoder(random_vit(Shape(patch=14, width=8, depth=1, heads=2, grid=16, scaled=True)))
    images = noise_pictures(3, 32)
    metric, sides = FDDinoV2(encoder), batch(images, images[::-1])
    a, b = metric.features(sides.original), metric.features(sides.custom)
    assert metric.key == "fd_dinov2" and a.shape == (3, 8) and metric.compare(a, b).value == 0


def test_structure_by_loops():
    keys = torch.nn.functional.normalize(torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    total = 0.0
    for i in range(5):
        for j in range(5):
            first, second = (cosine_similarity(k[i], k[j], dim=0) for k in keys)
            total += float((first - second) ** 2) / 25
    scores = StructureDistance(Given(keys=keys)).score(batch([picture(0), picture(1)], [picture(1), picture(1)]))
    assert scores["structure"].tolist() == pytest.approx([total, 0], abs=1e-6)


def test_structure_sees_where_things_are_and_not_their_colour():
    torch.manual_seed(0)
    encoder = DinoEncoder(random_vit(Shape(patch=56, width=48, depth=2, heads=4, grid=4)))
    image = photograph(224)
    moved, again = np.roll(image, 112, axis=0), image.copy()
    scores = StructureDistance(encoder).score(batch([image, image], [again, moved]))["structure"]
    assert scores[0] == 0 and scores[1] > 1e-3


def test_published_files_load_with_what_they_hold_besides(tmp_path, monkeypatch):
    monkeypatch.setattr(DinoV2Encoder, "shape", Shape(patch=14, width=8, depth=1, heads=2, grid=16, scaled=True))
    network = random_vit(DinoV2Encoder.shape)
    torch.save(network.state_dict() | {"mask_token": torch.zeros(1, 8)}, tmp_path / "dinov2.pth")
    loaded = DinoV2Encoder.from_weights(tmp_path / "dinov2.pth", "cpu")
    image = np.stack(noise_pictures(1, 32))
    assert torch.equal(loaded.encode(image)["pooled"], DinoV2Encoder(network).encode(image)["pooled"])
    monkeypatch.setattr(DinoEncoder, "shape", SMALL)
    with pytest.raises(UserError, match="another network"):
        DinoEncoder.from_weights(tmp_path / "dinov2.pth", "cpu")
