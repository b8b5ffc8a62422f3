"""Both families of checkpoints paint: as folders, as single files, and alike in any company."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from spf_bench.errors import UserError
from spf_bench.suite import Sampling
from spf_bench.trainset.painters import XL, XL_LAYOUT, StablePainter, family, load_painter
from spf_bench.weights.base import wanted
from spf_train.layout import renamed, unet_blocks, vae_blocks
from tests.bench.conftest import SAMPLING
from tests.bench.trainset.conftest import draw
from tests.tiny import WIDTH, tiny_text_encoder, tiny_tokenizer, tiny_vae

HIDDEN = 48


def tiny_xl() -> StableDiffusionXLPipeline:
    """An SDXL of 64 pixels with random weights: two text encoders, a UNet that is told the size."""
    torch.manual_seed(0)
    first = tiny_text_encoder()
    config = {**first.config.to_dict(), "hidden_size": HIDDEN, "hidden_act": "gelu", "projection_dim": HIDDEN}
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        layers_per_block=1,
        attention_head_dim=(2, 4),
        cross_attention_dim=WIDTH + HIDDEN,
        norm_num_groups=4,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + HIDDEN,
    )
    return StableDiffusionXLPipeline(
        vae=tiny_vae().eval(),
        text_encoder=first,
        text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**config)).eval(),
        tokenizer=tiny_tokenizer(),
        tokenizer_2=tiny_tokenizer(),
        unet=unet.eval(),
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
        add_watermarker=False,
    )


@pytest.fixture(scope="module")
def xl_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SDXL's folder."""
    folder = tmp_path_factory.mktemp("xl")
    tiny_xl().save_pretrained(folder)
    return folder


def test_families_are_told_apart(pipe_dir: Path, xl_dir: Path, tmp_path: Path) -> None:
    one = {"conditioner.embedders.1.model.ln_final.weight": torch.zeros(1)}
    save_file(one, tmp_path / "xl.safetensors")
    save_file({"model.diffusion_model.out.2.bias": torch.zeros(1)}, tmp_path / "sd.safetensors")
    assert family(xl_dir) == family(tmp_path / "xl.safetensors") == XL
    assert XL not in (family(pipe_dir), family(tmp_path / "sd.safetensors"), family(tmp_path))
    assert isinstance(load_painter(pipe_dir, SAMPLING, "cpu"), StablePainter)


def single_file(pipe: Any, path: Path) -> Path:
    """Write an SDXL as one file in its original layout, the second text encoder as OpenCLIP names it."""
    second = pipe.text_encoder_2.state_dict()
    unet = pipe.unet.state_dict()
    added = {name: unet.pop(name) for name in list(unet) if name.startswith("add_embedding.")}
    first = pipe.text_encoder.state_dict()
    found = {f"model.diffusion_model.{n}": w for n, w in renamed(unet, list(unet_blocks(pipe.unet.config))).items()}
    for name, weight in added.items():
        place = {"linear_1": "0", "linear_2": "2"}[name.split(".")[1]]
        found[f"model.diffusion_model.label_emb.0.{place}.{name.split('.')[2]}"] = weight
    vae = renamed(pipe.vae.state_dict(), list(vae_blocks(pipe.vae.config)))
    found |= {f"first_stage_model.{name}": weight for name, weight in vae.items()}
    found |= {f"conditioner.embedders.0.transformer.text_model.{_bare(n)}": w for n, w in first.items()}
    found |= {f"conditioner.embedders.1.model.{n}": w for n, w in open_clip(second).items()}
    save_file({name: weight.contiguous() for name, weight in found.items()}, path)
    return path


def _bare(name: str) -> str:
    return name.removeprefix("text_model.")


def open_clip(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a text encoder by OpenCLIP's names: query, key and value in one."""
    names = {
        "embeddings.token_embedding.weight": "token_embedding.weight",
        "embeddings.position_embedding.weight": "positional_embedding",
        "final_layer_norm.weight": "ln_final.weight",
        "final_layer_norm.bias": "ln_final.bias",
    }
    parts = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    parts["self_attn.out_proj"] = "attn.out_proj"
    found = {"text_projection": state["text_projection.weight"].T}
    for full, weight in state.items():
        name = _bare(full)
        if name in names:
            found[names[name]] = weight
        elif name.startswith("encoder.layers."):
            _, _, layer, *rest = name.split(".")
            part, kind = ".".join(rest[:-1]), rest[-1]
            place = f"transformer.resblocks.{layer}"
            if part in parts:
                found[f"{place}.{parts[part]}.{kind}"] = weight
            elif part == "self_attn.q_proj":
                three = [state[full.replace("q_proj", f"{one}_proj")] for one in "qkv"]
                found[f"{place}.attn.in_proj_{kind}"] = torch.cat(three)
    return found


def test_a_single_file_of_sdxl_is_the_folder_it_was_made_of(xl_dir: Path, tmp_path: Path) -> None:
    pipe, triples = tiny_xl(), draw(0, 0)[:2]
    path = single_file(pipe, tmp_path / "xl.safetensors")
    painted = load_painter(path, SAMPLING, "cpu", layout=xl_dir).paint(triples)
    assert torch.equal(painted, load_painter(xl_dir, SAMPLING, "cpu").paint(triples))


def test_sdxl_paints_alike_in_any_company(xl_dir: Path) -> None:
    painter, triples = load_painter(xl_dir, SAMPLING, "cpu"), draw(0, 0)[:3]
    together = painter.paint(triples)
    assert together.shape == (3, 64, 64, 3) and together.dtype == torch.uint8
    alone = torch.cat([painter.paint([triple]) for triple in triples])
    assert (together.int() - alone.int()).abs().max() <= 1
    assert not torch.equal(together[0], together[1])


def test_the_text_and_the_negative_prompt_reach_sdxl(xl_dir: Path) -> None:
    triples = draw(0, 0)[:1]
    plain = load_painter(xl_dir, SAMPLING, "cpu").paint(triples)
    negative = Sampling(SAMPLING.scheduler, SAMPLING.steps, SAMPLING.guidance, negative_prompt="smiling")
    assert not torch.equal(plain, load_painter(xl_dir, negative, "cpu").paint(triples))


def test_stable_diffusion_forgets_texts(pipe_dir: Path) -> None:
    painter = load_painter(pipe_dir, SAMPLING, "cpu")
    assert isinstance(painter, StablePainter)
    painter.paint(draw(0, 0)[:2])
    assert not painter._texts


def test_a_broken_sdxl_is_refused_in_words(xl_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text((xl_dir / "model_index.json").read_text())
    with pytest.raises(UserError, match="cannot load the checkpoint"):
        load_painter(tmp_path, SAMPLING, "cpu")
    save_file({"conditioner.embedders.1.model.ln_final.weight": torch.zeros(1)}, tmp_path / "cut.safetensors")
    with pytest.raises(UserError, match="cannot load the checkpoint"):
        load_painter(tmp_path / "cut.safetensors", SAMPLING, "cpu", layout=xl_dir)


def test_an_unknown_scheduler_is_refused(xl_dir: Path) -> None:
    with pytest.raises(UserError, match="no scheduler is called"):
        load_painter(xl_dir, Sampling("euler_a", 2, 4.0), "cpu")


def test_fetching_an_sdxl_takes_both_text_encoders() -> None:
    parts = ("text_encoder", "text_encoder_2", "unet", "vae")
    files = [f"{part}/model.safetensors" for part in parts] + ["tokenizer_2/vocab.json", "model_index.json"]
    assert sorted(wanted([*files, "text_encoder_2/model.fp16.safetensors", "sd_xl.safetensors"])) == sorted(files)


def test_the_shipped_layout_is_sdxls() -> None:
    config: dict[str, Any] = json.loads((XL_LAYOUT / "unet" / "config.json").read_text())
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config)
        text = json.loads((XL_LAYOUT / "text_encoder_2" / "config.json").read_text())
        second = CLIPTextModelWithProjection(CLIPTextConfig(**text))
    assert sum(p.numel() for p in unet.parameters()) == 2_567_463_684
    assert sum(p.numel() for p in second.parameters()) == 694_659_840
    assert json.loads((XL_LAYOUT / "model_index.json").read_text())["_class_name"] == XL
