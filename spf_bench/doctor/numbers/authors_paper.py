"""Published metrics by their authors' code, over the networks in miniature: scores of pairs."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spf_bench.doctor.numbers import miniature, miniature_regions
from spf_bench.doctor.numbers.authors import (
    Author,
    Theirs,
    clip_columns,
    clip_embeddings,
    cosines,
    of,
    pictures,
    planes,
    sides,
)
from spf_bench.doctor.numbers.pairs import Pairs
from spf_bench.metrics.features import Image


def lpips(pairs: Pairs, net: Any = "alex", column: str = "lpips") -> list[Theirs]:
    """LPIPS by the authors' package."""
    import lpips as package

    state = miniature.lpips(net).layers.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = package.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
    theirs.net.load_state_dict({name: state[name.split(".", 1)[1]] for name in theirs.net.state_dict()})
    first, second = (planes(side).float() / 255 for side in sides(pairs))
    with torch.no_grad():
        values = theirs(first, second, normalize=True).flatten()
    return [Theirs(column, values.tolist(), of("lpips"))]


def pixels(pairs: Pairs) -> dict[str, Theirs]:
    """PSNR and SSIM by torchmetrics."""
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    first, second = (planes(side).double() / 255 for side in sides(pairs))
    psnr = peak_signal_noise_ratio(first, second, data_range=1.0, reduction="none", dim=(1, 2, 3))
    ssim = structural_similarity_index_measure(first, second, data_range=1.0, reduction="none")
    found = {"psnr": psnr, "ssim": ssim}
    return {key: Theirs(key, torch.as_tensor(value).tolist(), of("torchmetrics")) for key, value in found.items()}


def identity(pairs: Pairs) -> list[Theirs]:
    """ID by InsightFace, from pixels to similarity."""
    from insightface.app import FaceAnalysis

    with tempfile.TemporaryDirectory() as folder:
        miniature_regions.write_faces(Path(folder))
        modules = ["detection", "recognition"]
        app = FaceAnalysis(name=folder, allowed_modules=modules, providers=["CPUExecutionProvider"])
        app.prepare(ctx_id=-1, det_thresh=0.5, det_size=(640, 640))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of scikit-image
            seen = [[app.get(np.ascontiguousarray(i[..., ::-1]))[0].embedding for i in side] for side in sides(pairs)]
    values = cosines(*(torch.from_numpy(np.stack(side)) for side in seen))
    return [Theirs(column, values, of("insightface")) for column in ("id", "id_detected")]


def seg_cons(pairs: Pairs) -> list[Theirs]:
    """Seg-Cons, whose formula nobody has published, over the masks of SAM's own predictor."""
    from segment_anything import SamPredictor

    from spf_bench.metrics.segcons import Proposals, directed, grid

    predictor, points = SamPredictor(miniature_regions.sam()), grid(8)

    def look(image: Image) -> Proposals:
        predictor.set_image(image)
        size = np.array([image.shape[1], image.shape[0]])
        asked = [points[k].numpy()[None] * size for k in range(len(points))]
        told = [predictor.predict(p, np.ones(1, int), multimask_output=True, return_logits=True)[:2] for p in asked]
        logits = torch.from_numpy(np.stack([masks for masks, _ in told]))
        strict, loose = ((logits > level).sum((2, 3)) for level in (1.0, -1.0))
        sure = torch.from_numpy(np.stack([quality for _, quality in told])).float()
        return Proposals(logits > 0, sure, strict / loose.clamp(min=1))

    both = [(look(a), look(b)) for a, b in zip(*sides(pairs), strict=True)]
    ways = [[directed(*way) or {} for way in ((a, b), (b, a))] for a, b in both]
    source = of("segment-anything", what="masks of its predictor")
    columns = ("seg_cons", "seg_cons_uniform", "seg_cons_area")
    return [Theirs(c, [50 * (there[c] + back[c]) for there, back in ways], source) for c in columns]


def _clip(pairs: Pairs) -> dict[str, Theirs]:
    from spf_bench.models.image_processor import pil_processor

    ours, processor = miniature.clip(), pil_processor()()
    source = of("transformers", what="forward pass and image processor")
    see = lambda images, texts: clip_embeddings(ours.model, processor, images, ours.tokenizer, texts)  # noqa: E731
    return clip_columns(see, pairs, source)


def clip_i(pairs: Pairs) -> list[Theirs]:
    """CLIP-I by Hugging Face's forward pass and image processor."""
    return [_clip(pairs)["image"]]


def clip_t(pairs: Pairs) -> list[Theirs]:
    """CLIP-T likewise."""
    found = _clip(pairs)
    return [found["target"], found["full"]]


def open_clip(pairs: Pairs, columns: dict[str, str]) -> list[Theirs]:
    """A network of OpenCLIP's by its own transform, tokenizer and forward pass."""
    import open_clip as package

    model = miniature.open_clip("any").model
    transform, tokenize = package.image_transform(224, is_train=False), package.get_tokenizer("ViT-H-14")

    def see(images: Image, texts: Any) -> tuple[Tensor, Tensor]:
        seen = torch.stack([transform(picture) for picture in pictures(images)])
        with torch.no_grad():
            return model.encode_image(seen, normalize=True), model.encode_text(tokenize(list(texts)), normalize=True)

    found = clip_columns(see, pairs, of("open_clip_torch"))
    return [found[which]._replace(column=column) for column, which in columns.items()]


AUTHORS: dict[str, Author] = {
    "lpips": lpips,
    "lpips_vgg": lambda pairs: lpips(pairs, "vgg", "lpips_vgg"),
    "psnr": lambda pairs: [pixels(pairs)["psnr"]],
    "ssim": lambda pairs: [pixels(pairs)["ssim"]],
    "id": identity,
    "seg_cons": seg_cons,
    "clip_i": clip_i,
    "clip_t": clip_t,
    "clip_open": lambda pairs: open_clip(
        pairs, {"clip_open": "target", "clip_open_full": "full", "clip_open_i": "image"}
    ),
    "hps": lambda pairs: open_clip(pairs, {"hps": "full"}),
    "hps_v20": lambda pairs: open_clip(pairs, {"hps_v20": "full"}),
}
