"""Segment Anything and a pack of faces in miniature, as ``miniature`` has the other networks."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spf_bench.doctor.numbers.miniature import fill
from spf_bench.doctor.numbers.prints import uniform

CONVINCED, SHARP = 1.0, 40.0
STRIDES = (8, 16, 32)
DETECTOR_SIDE = 640
FACE = (48.0, 50.0)
"""Where the detector sees a face, whatever it is shown: its centre in cells of 8 px of 640."""


def sam() -> Any:
    """Return Segment Anything for images of 64 px, with masks that are sharp and sure."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    width = 32
    model = Sam(
        image_encoder=ImageEncoderViT(
            img_size=64, patch_size=16, embed_dim=width, depth=2, num_heads=2, out_chans=width, qkv_bias=True,
            use_rel_pos=True, window_size=2, global_attn_indexes=(1,),
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=width, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=4
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=width, num_multimask_outputs=3, iou_head_depth=2, iou_head_hidden_dim=32,
            transformer=TwoWayTransformer(depth=1, embedding_dim=width, mlp_dim=64, num_heads=2),
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )  # fmt: skip
    fill(model)
    with torch.no_grad():
        last = model.mask_decoder.iou_prediction_head.layers[-1]
        last.weight *= 0.01
        last.bias.fill_(CONVINCED)
        for head in model.mask_decoder.output_hypernetworks_mlps:
            head.layers[-1].weight *= SHARP
    return model


def segmenter() -> Any:
    """Return Seg-Cons' segmenter over it."""
    from spf_bench.metrics.sam import SamEncoder, SamSegmenter

    return SamSegmenter(SamEncoder(sam()))


def regions() -> Any:
    """Return what the Hungarian variant asks, over a coarser grid of points than it has in earnest."""
    from spf_bench.metrics.sam_automatic import SamAutomaticEncoder, SamRegions

    return SamRegions(SamAutomaticEncoder(sam(), side=8))


def faces() -> Any:
    """Return InsightFace over two networks written here: one face at a known place, a recogniser of patches."""
    from spf_bench.metrics.insight import DETECTOR, RECOGNISER, FaceEncoder
    from spf_bench.metrics.insight_pack import InsightPack

    kept = tempfile.TemporaryDirectory()  # InsightFace reads the detector again for every size
    folder = Path(kept.name)
    write_faces(folder)
    encoder = FaceEncoder(InsightPack(folder / DETECTOR, folder / RECOGNISER, "cpu"))
    vars(encoder)["kept"] = kept
    return encoder


def write_faces(folder: Path) -> None:
    """Write the two networks under the names that InsightFace's pack has."""
    from spf_bench.metrics.insight import DETECTOR, RECOGNISER

    _save(folder / DETECTOR, *_detector(), ["h", "w"])
    _save(folder / RECOGNISER, *_recogniser(), [112, 112])


def _detector() -> tuple[list[Any], dict[str, np.ndarray]]:
    """Nine outputs as SCRFD's at 640 px, two anchors a cell: scores, distances to a box's sides, landmarks."""
    from onnx import helper

    column, row = FACE
    arrays = {}
    for kind, values in (("score", [0.9]), ("box", [12.0] * 4), ("points", [-3, -3, 3, -3, 0, 1, -2, 4, 2, 4])):
        for stride in STRIDES:
            side = DETECTOR_SIDE // stride
            rows = np.zeros((2 * side * side, len(values)), np.float32)
            if stride == STRIDES[0]:
                rows[2 * int(row * side + column)] = values
            arrays[f"{kind}{stride}"] = rows
    nodes = [helper.make_node("Identity", [name], [f"{name}.out"]) for name in arrays]
    return nodes, arrays


def _recogniser() -> tuple[list[Any], dict[str, np.ndarray]]:
    from onnx import helper

    mix = uniform(0, 3 * 7 * 7 * 512).astype(np.float32).reshape(3 * 7 * 7, 512)
    nodes = [
        helper.make_node("AveragePool", ["input"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "mix"], ["embedding.out"]),
    ]
    return nodes, {"mix": mix}


def _save(path: Path, nodes: list[Any], arrays: dict[str, np.ndarray], size: list[Any]) -> None:
    from onnx import TensorProto, helper, numpy_helper, save

    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])
    ends = [name for node in nodes for name in node.output if name.endswith(".out")]
    widths = [arrays[end.removesuffix(".out")].shape[1] if len(ends) > 1 else 512 for end in ends]
    found = [helper.make_tensor_value_info(e, TensorProto.FLOAT, [None, w]) for e, w in zip(ends, widths, strict=True)]
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, path.stem, [image], found, constants)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))


BUILDERS: dict[str, Callable[[], Any]] = {"sam": segmenter, "sam_automatic": regions, "faces": faces}
"""By name, as ``miniature.BUILDERS``."""
