"""ONNX files in the shape of a face pack, with networks simple enough to know what they see."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

STRIDES = (8, 16, 32)
REACH = 12.0  # from a face's centre to the sides of its box, in strides


def write_pack(folder: Path) -> Path:
    """Write ``det_10g.onnx`` and ``w600k_r50.onnx``."""
    _write(folder / "det_10g.onnx", *_detector())
    _write(folder / "w600k_r50.onnx", *_recogniser())
    return folder


def _detector():
    """Nine outputs as SCRFD's: scores, box distances and landmarks at three strides, two anchors a place.

    Only the finest stride finds anything: places whose red, averaged over 8 px, is far above green.
    """
    nodes, constants, outputs = [], [], {}
    for stride in STRIDES:
        name = f"s{stride}"
        gain = 1.0 if stride == STRIDES[0] else 0.0
        pick = np.array([1.0, -1.0, 0.0], np.float32).reshape(1, 3, 1, 1) * gain
        parts = {"pick": pick, "steep": 9.0, "level": 1.0, "zero": 0.0, "column": np.array([-1, 1])}
        landmarks = np.tile([0.0, 0.0], 5) + np.array([-2, -2, 2, -2, 0, 0, -2, 2, 2, 2], np.float32)
        parts |= {"box": np.full((1, 4), REACH, np.float32), "points": landmarks.astype(np.float32)[None]}
        for key, value in parts.items():
            array = np.asarray(value, np.int64 if key == "column" else np.float32)
            constants.append(numpy_helper.from_array(array, f"{name}.{key}"))
        steps = [
            ("AveragePool", ["input"], "pooled", {"kernel_shape": [stride] * 2, "strides": [stride] * 2}),
            ("Conv", [f"{name}.pooled", f"{name}.pick"], "red", {}),
            ("Sub", [f"{name}.red", f"{name}.level"], "above", {}),
            ("Mul", [f"{name}.above", f"{name}.steep"], "logit", {}),
            ("Sigmoid", [f"{name}.logit"], "map", {}),
            ("Reshape", [f"{name}.map", f"{name}.column"], "first", {}),
            ("Mul", [f"{name}.first", f"{name}.zero"], "second", {}),
            ("Concat", [f"{name}.first", f"{name}.second"], "both", {"axis": 1}),
            ("Reshape", [f"{name}.both", f"{name}.column"], "score", {}),
            ("Mul", [f"{name}.score", f"{name}.zero"], "none", {}),
            ("Add", [f"{name}.none", f"{name}.box"], "boxes", {}),
            ("Add", [f"{name}.none", f"{name}.points"], "landmarks", {}),
        ]
        nodes += [helper.make_node(op, ins, [f"{name}.{out}"], **options) for op, ins, out, options in steps]
        outputs[stride] = [f"{name}.{out}" for out in ("score", "boxes", "landmarks")]
    names = [outputs[stride][kind] for kind in range(3) for stride in STRIDES]
    widths = [width for width in (1, 4, 10) for _ in STRIDES]
    found = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, w]) for n, w in zip(names, widths, strict=True)]
    return nodes, constants, ["h", "w"], found


def _recogniser():
    """Averages over patches of 16 px, mixed into 512 numbers."""
    mix = np.random.default_rng(0).normal(size=(3 * 7 * 7, 512)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["input"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "mix"], ["embedding"]),
    ]
    found = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 512])]
    return nodes, [numpy_helper.from_array(mix, "mix")], [112, 112], found


def _write(path, nodes, constants, size, outputs):
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])
    graph = helper.make_graph(nodes, path.stem, [image], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    save(model, path)
