"""The networks under LPIPS: AlexNet or VGG-16 up to their last convolution, with the authors' linear heads v0.1.

Paper: Zhang et al., arXiv:1801.03924. Weights: torchvision's ``alexnet-owt-7be5be79.pth`` and
``vgg16-397923af.pth`` (BSD-3-Clause); the heads (BSD-2-Clause) are files of the torchmetrics package, equal byte for
byte to those of the lpips package. Range of a feature: 0 and up. Values of the two networks are not comparable.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn

from spf_bench.errors import UserError
from spf_bench.files.store import code_sha256, file_sha256
from spf_bench.metrics.checkpoint import fingerprint, fit, read_state
from spf_bench.metrics.compute import in_chunks, precision, to_pixels
from spf_bench.metrics.features import Image, Outputs

Net = Literal["alex", "vgg"]
HEADS = {
    "alex": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    "vgg": "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
}
TAPS = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}
"""Layers that LPIPS looks at, each a ReLU, by their place in the published network."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
CHUNK = 8


class LpipsTrunk:
    """The feature maps that LPIPS compares, at the size of the image.

    Args:
        net: Which network.
        layers: Its convolutions, ReLUs and pools; their device is where everything is computed.
        heads: Non-negative channel weights [C] for each map.
        digest: Stands for the weights and the floating type.
        dtype: Floating type of the network.
    """

    compact = False

    def __init__(
        self, net: Net, layers: nn.Sequential, heads: list[Tensor], digest: str = "", dtype: torch.dtype = torch.float32
    ) -> None:
        self.name, self.digest, self.dtype = f"lpips_{net}", digest, dtype
        self.layers, self.heads, self.taps = layers.eval(), heads, TAPS[net]
        self.device = next(layers.parameters()).device

    @classmethod
    def from_weights(
        cls, path: Path, device: str, net: Net = "alex", dtype: torch.dtype = torch.float32, sha256: str | None = None
    ) -> Self:
        """Load torchvision's file; raises UserError where it is missing, damaged or of another network."""
        layers = trunk(net)
        state = {n.removeprefix("features."): v for n, v in read_state(path).items()}
        fit(layers, state, path, ignore=("classifier.",))
        known = fingerprint(path, HEADS[net], dtype, code_sha256("spf_bench.metrics.lpips_trunk"), sha256=sha256)
        return cls(net, layers.to(device), [head.to(device) for head in linear_heads(net)], known, dtype)

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> ``stage0`` to ``stage4`` [B, C, h, w], fine to coarse."""
        return in_chunks(self._encode, images, CHUNK)

    def _encode(self, images: Image) -> Outputs:
        x = to_pixels(images, self.device) / 127.5 - 1
        shift, scale = (torch.tensor(values, device=self.device)[:, None, None] for values in (SHIFT, SCALE))
        x, seen = (x - shift) / scale, []
        with precision(self.device, self.dtype):
            for place, layer in enumerate(self.layers):
                x = layer(x)
                if place in self.taps:
                    seen.append(x)
        return {f"stage{i}": stage.float() for i, stage in enumerate(seen)}


def trunk(net: Net) -> nn.Sequential:
    """Build the layers of a network up to the last that LPIPS looks at, untrained."""
    layers = _alexnet() if net == "alex" else _vgg16()
    return nn.Sequential(*layers[: TAPS[net][-1] + 1])


def linear_heads(net: Net) -> list[Tensor]:
    """Read the authors' channel weights [C] for each of the five maps.

    Raises:
        UserError: The installed torchmetrics holds other heads, or none.
    """
    path = _heads_file(net)
    if not path.is_file() or file_sha256(path) != HEADS[net]:
        raise UserError(
            f"the LPIPS heads are not those of v0.1: {path}", fix="pip install --force-reinstall torchmetrics"
        )
    state = read_state(path)
    return [state[f"lin{i}.model.1.weight"].flatten() for i in range(len(TAPS[net]))]


def _heads_file(net: Net) -> Path:
    spec = find_spec("torchmetrics")
    root = Path(spec.origin).parent if spec is not None and spec.origin else Path("torchmetrics")
    return root / "functional" / "image" / "lpips_models" / f"{net}.pth"


def _alexnet() -> list[nn.Module]:
    convs = [
        nn.Conv2d(3, 64, 11, 4, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.Conv2d(256, 256, 3, padding=1),
    ]
    layers: list[nn.Module] = []
    for place, conv in enumerate(convs):
        layers += [conv, nn.ReLU()]
        layers += [nn.MaxPool2d(3, 2)] if place in (0, 1) else []
    return layers


def _vgg16() -> list[nn.Module]:
    layers: list[nn.Module] = []
    ins = 3
    for outs, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            layers += [nn.Conv2d(ins, outs, 3, padding=1), nn.ReLU()]
            ins = outs
        layers.append(nn.MaxPool2d(2, 2))
    return layers
