"""Networks of OpenCLIP against the package itself and against HPSv2's own copy of it."""

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spf_bench.errors import UserError
from spf_bench.metrics.clip_encoder import CLIP_224
from spf_bench.metrics.clip_open import ClipOpen
from spf_bench.metrics.hps import HPS, HPSv20
from spf_bench.metrics.open_clip_encoder import OpenClipEncoder
from tests.bench.metrics.stand_ins import batch, noise_pictures

open_clip = pytest.importorskip("open_clip", reason="the paper extra is not installed", exc_type=Exception)
TEXTS = ["a portrait of a woman, wearing a red hat", "pencil sketch style", "café & “bar”"]
SIZES = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 224, "layers": 1, "width": 64, "head_width": 32, "patch_size": 112},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A checkpoint as HPSv2 publishes it: a state dict beside other entries, named as in training on several GPUs."""
    torch.manual_seed(0)
    state = {f"module.{name}": value for name, value in open_clip.CLIP(**SIZES).state_dict().items()}
    path = tmp_path_factory.mktemp("open_clip") / "HPS.pt"
    torch.save({"epoch": 3, "state_dict": state}, path)
    return path


@pytest.fixture
def encoder(weights, monkeypatch) -> OpenClipEncoder:
    monkeypatch.setattr(open_clip, "get_model_config", lambda architecture: SIZES)
    return OpenClipEncoder.from_weights("hps", "ViT-H-14", weights, "cpu", "0" * 64, "state_dict")


def theirs(weights):
    model = open_clip.CLIP(**SIZES).eval()
    state = torch.load(weights, weights_only=True)["state_dict"]
    model.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
    return model


@pytest.mark.parametrize("shape", [(512, 512), (300, 256)])
def test_pixels_are_open_clips_bit_for_bit(shape):
    waves = np.sin(np.arange(shape[0] * shape[1] * 3).reshape(*shape, 3) / 7.3)
    image = ((waves + 1) * 127).astype(np.uint8)
    expected = open_clip.image_transform(224, is_train=False)(Image.fromarray(image))
    assert torch.equal(CLIP_224(image[None])[0], expected)


def test_a_resize_without_antialiasing_would_be_noticed():
    image = np.random.default_rng(0).integers(96, 160, (512, 512, 3), dtype=np.uint8)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (CLIP_224.mean, CLIP_224.std))
    coarse, fine = (
        (torch.nn.functional.interpolate(pixels, (224, 224), mode="bicubic", antialias=smooth)[0] - mean) / std
        for smooth in (False, True)
    )
    ours = CLIP_224(image[None])[0]
    assert (ours - fine).abs().max() < 0.05 < 0.3 < (ours - coarse).abs().max()


def test_scores_are_the_packages_cosines(encoder, weights):
    images, model = noise_pictures(3, size=64), theirs(weights)
    current = batch(noise_pictures(3, size=64, seed=1), images, TEXTS)
    transform, tokenize = open_clip.image_transform(224, is_train=False), open_clip.get_tokenizer("ViT-H-14")
    with torch.no_grad():
        pixels = torch.stack([transform(Image.fromarray(image)) for image in images])
        seen = model.encode_image(pixels, normalize=True)
        full, target = (model.encode_text(tokenize(t), normalize=True) for t in (current.prompts, TEXTS))
    expected = (seen * full).sum(-1)
    torch.testing.assert_close(HPS(encoder).score(current)["hps"], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(HPSv20(encoder).score(current)["hps_v20"], expected, atol=1e-6, rtol=0)
    found = ClipOpen(encoder).score(current)
    torch.testing.assert_close(found["clip_open"], (seen * target).sum(-1), atol=1e-6, rtol=0)
    torch.testing.assert_close(found["clip_open_full"], expected, atol=1e-6, rtol=0)
    assert list(found) == ["clip_open", *ClipOpen.secondary]


def test_a_score_ignores_case_and_trailing_spaces_of_its_text(encoder):
    texts = encoder.texts(["A Red Hat", "a red hat  "])
    torch.testing.assert_close(texts[0], texts[1], atol=0, rtol=0)


def test_a_long_text_warns_and_keeps_its_end(encoder):
    with pytest.warns(UserWarning, match="1 texts exceed the 77 tokens"):
        ids = encoder._ids(["a hat, " * 60, "a hat"])
    assert ids.shape == (2, 77) and ids[0, -1] == ids.max() == 49407


def test_bfloat16_gives_float32_scores_near_those_of_float32(encoder, weights):
    half = OpenClipEncoder("hps", theirs(weights).bfloat16(), encoder.tokenize)
    images = np.stack(noise_pictures(2))
    exact, rough = (e.encode(images)["image"] for e in (encoder, half))
    assert rough.dtype == torch.float32 and 0 < (exact - rough).abs().max() < 0.03


def test_a_checkpoint_of_another_network_is_refused(encoder, tmp_path):
    torch.save({"visual.proj": torch.zeros(3)}, tmp_path / "w.bin")
    with pytest.raises(UserError, match="another network"):
        OpenClipEncoder.from_weights("clip", "ViT-L-14", tmp_path / "w.bin", "cpu", "")


def test_hpsv2s_own_network_has_the_same_names_and_features(weights, tmp_path, monkeypatch):
    spec = importlib.util.find_spec("hpsv2")
    if spec is None or spec.origin is None:
        pytest.skip("hpsv2 is not installed")
    # The wheel lacks the vocabulary its tokenizer opens when imported: import a copy that has OpenCLIP's.
    copy = tmp_path / "vendored_open_clip"
    shutil.copytree(Path(spec.origin).parent / "src" / "open_clip", copy)
    shutil.copy(Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz", copy)
    monkeypatch.syspath_prepend(tmp_path)
    vendored = pytest.importorskip("vendored_open_clip", exc_type=Exception)
    model = vendored.model.CLIP(**SIZES).eval()
    model.load_state_dict(theirs(weights).state_dict())
    pixels = CLIP_224(np.stack(noise_pictures(2)))
    ids = vendored.tokenizer.tokenize(TEXTS)
    assert torch.equal(ids, open_clip.get_tokenizer("ViT-H-14")(TEXTS))
    with torch.no_grad():
        for old, new in ((model.encode_image, theirs(weights).encode_image),):
            torch.testing.assert_close(old(pixels), new(pixels), atol=1e-6, rtol=0)
        torch.testing.assert_close(model.encode_text(ids), theirs(weights).encode_text(ids), atol=1e-6, rtol=0)
    for name in [name for name in sys.modules if name.startswith("vendored_open_clip")]:
        del sys.modules[name]


def test_the_full_size_has_the_published_names():
    with torch.device("meta"):
        model = open_clip.CLIP(**open_clip.get_model_config("ViT-H-14"))
    names = set(model.state_dict())
    layer = ("ln_1", "ln_2", "attn.out_proj", "mlp.c_fc", "mlp.c_proj")
    blocks = {
        f"{tower}transformer.resblocks.{i}.{part}.{kind}"
        for tower, depth in (("visual.", 32), ("", 24))
        for i in range(depth)
        for part in layer
        for kind in ("weight", "bias")
    }
    blocks |= {
        f"{tower}transformer.resblocks.{i}.attn.in_proj_{kind}"
        for tower, depth in (("visual.", 32), ("", 24))
        for i in range(depth)
        for kind in ("weight", "bias")
    }
    rest = {
        "positional_embedding",
        "text_projection",
        "logit_scale",
        "token_embedding.weight",
        "ln_final.weight",
        "ln_final.bias",
        "visual.class_embedding",
        "visual.positional_embedding",
        "visual.proj",
        "visual.conv1.weight",
        *(f"visual.{norm}.{kind}" for norm in ("ln_pre", "ln_post") for kind in ("weight", "bias")),
    }
    assert names == blocks | rest
    assert sum(value.numel() for value in model.parameters()) == 986_109_441
