"""Published metrics by their authors' code, over the networks in miniature: sets, and timm's transformers."""

import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from spf_bench.doctor.numbers import miniature
from spf_bench.doctor.numbers.authors import Author, Theirs, frechet, of, pictures, planes, sides
from spf_bench.doctor.numbers.pairs import Pairs
from spf_bench.metrics.features import Image

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _fidelity(pairs: Pairs, resized: Any = None) -> list[Tensor]:
    """Return torch-fidelity's features of both sides; of images that somebody else has resized where given."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    state = miniature.inception().network.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inception.pth"
        torch.save(state | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, path)
        theirs = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(path)).eval()
    found = []
    for images in sides(pairs):
        way = module.interpolate_bilinear_2d_like_tensorflow1x if resized is None else _given(resized(images))
        with torch.no_grad(), patch.object(module, "interpolate_bilinear_2d_like_tensorflow1x", way):
            found.append(theirs(planes(images))[0])
    return found


def _given(resized: Tensor) -> Any:
    return lambda *args, **kwargs: resized


def fid(pairs: Pairs) -> list[Theirs]:
    """FID by torch-fidelity, from pixels to distance."""
    return [Theirs("fid", [frechet(*_fidelity(pairs))], of("torch-fidelity"))]


def kid(pairs: Pairs) -> list[Theirs]:
    """KID by torch-fidelity."""
    from torch_fidelity.metric_kid import kernel_mmd

    first, second = (side.double().numpy() for side in _fidelity(pairs))
    value = kernel_mmd(first, second, kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_coef0=1)
    return [Theirs("kid", [float(value)], of("torch-fidelity"))]


def fid_clean(pairs: Pairs) -> list[Theirs]:
    """FID over clean-fid's resize."""
    from cleanfid.resize import make_resizer

    resize = make_resizer("PIL", False, "bicubic", (299, 299))

    def resized(images: Image) -> Tensor:
        return torch.from_numpy(np.stack([resize(image) for image in images])).permute(0, 3, 1, 2).float()

    found = _fidelity(pairs, resized)
    return [Theirs("fid_clean", [frechet(*found)], of("clean-fid", "torch-fidelity"))]


def fd_dinov2(pairs: Pairs) -> list[Theirs]:
    """The same distance over timm's transformer, its map of positions stretched as DINOv2's code does."""
    ours = miniature.dinov2().network
    shape, state = ours.shape, dict(ours.state_dict())
    grid = state["pos_embed"][0, 1:].T.reshape(1, shape.width, shape.grid, shape.grid)
    scale = (16 + 0.1) / shape.grid
    grid = torch.nn.functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    state["pos_embed"] = torch.cat([state["pos_embed"][:, :1], grid.flatten(2).mT], 1)
    theirs = _timm(shape, 16, state)
    with torch.no_grad():
        first, second = (theirs.forward_features(_bicubic(side))[:, 0] for side in sides(pairs))
    return [Theirs("fd_dinov2", [frechet(first, second)], of("timm", "torch-fidelity"))]


def structure(pairs: Pairs) -> list[Theirs]:
    """The distance of timm's last keys, over torchvision's resize."""
    from torchvision.transforms.functional import normalize, resize

    ours = miniature.dino().network
    width, theirs = ours.shape.width, _timm(ours.shape, ours.shape.grid, ours.state_dict())
    seen: list[Tensor] = []
    theirs.blocks[-1].attn.qkv.register_forward_hook(lambda module, given, out: seen.append(out))
    with torch.no_grad():
        for side in sides(pairs):
            theirs.forward_features(normalize(resize(planes(side).float() / 255, 224, antialias=True), *IMAGENET))
    first, second = (torch.nn.functional.normalize(out[..., width : 2 * width], dim=-1) for out in seen)
    values = ((first @ first.mT) - (second @ second.mT)).square().mean((1, 2))
    return [Theirs("structure", values.tolist(), of("timm", "torchvision"))]


def _timm(shape: Any, grid: int, state: Any) -> Any:
    from timm.models.vision_transformer import VisionTransformer

    theirs = VisionTransformer(
        img_size=grid * shape.patch, patch_size=shape.patch, embed_dim=shape.width, depth=shape.depth,
        num_heads=shape.heads, num_classes=0, init_values=1.0 if shape.scaled else None,
    )  # fmt: skip
    theirs.load_state_dict(state)
    return theirs.eval()


def _bicubic(images: Image) -> Tensor:
    from torchvision.transforms.functional import normalize, to_tensor

    small = [picture.resize((224, 224), resample=3) for picture in pictures(images)]
    return torch.stack([normalize(to_tensor(picture), *IMAGENET) for picture in small])


AUTHORS: dict[str, Author] = {
    "fid": fid,
    "fid_clean": fid_clean,
    "kid": kid,
    "fd_dinov2": fd_dinov2,
    "structure": structure,
}
