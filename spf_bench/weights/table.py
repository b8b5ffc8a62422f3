"""Every checkpoint of the paper suite: one row each, with what upstream says about it."""

from collections.abc import Sequence

from spf_bench.errors import unknown
from spf_bench.weights.checkpoint import Checkpoint, File, Hub, Url

CLIP_FILES = (
    "config.json",
    "preprocessor_config.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)

RESEARCH = "non-commercial research only (InsightFace's model terms): no commercial use of these scores"

_ROWS = (
    Checkpoint(
        "base",
        "Realistic Vision V4.0, a Stable Diffusion 1.5",
        Hub("SG161222/Realistic_Vision_V4.0_noVAE", "main"),
        (),
        "CreativeML Open RAIL-M",
        ("portraits",),
        terms="Open RAIL-M: use for purposes listed in the licence's attachment A is forbidden",
    ),
    Checkpoint(
        "clip",
        "OpenAI CLIP ViT-L/14",
        Hub("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41"),
        (
            File(
                "model.safetensors",
                1_710_540_580,
                "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
            ),
            *map(File, CLIP_FILES),
        ),
        "MIT",
        ("clip_i", "clip_t", "mps"),  # MPS takes its tokenizer
    ),
    Checkpoint(
        "clip_datacomp",
        "OpenCLIP ViT-L/14, DataComp-XL",
        Hub("laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", "84c9828e63dc9a9351d1fe637c346d4c1c4db341"),
        (File("open_clip_pytorch_model.bin"),),
        "MIT",
        ("clip_open",),
    ),
    Checkpoint(
        "hps",
        "HPS v2.1, OpenCLIP ViT-H/14",
        Hub("xswu/HPSv2", "697403c78157020a1ae59d23f111aa58ced35b0a"),
        (
            File(
                "HPS_v2.1_compressed.pt",
                1_972_490_005,
                "c57a38fb4a2f7e7c15bf00da2ea377cdf165448b4dd1052a484c215a998c9837",
            ),
        ),
        "Apache-2.0",
        ("hps",),
    ),
    Checkpoint(
        "hps_v20",
        "HPS v2.0, OpenCLIP ViT-H/14",
        Hub("xswu/HPSv2", "697403c78157020a1ae59d23f111aa58ced35b0a"),
        (File("HPS_v2_compressed.pt"),),
        "Apache-2.0",
        ("hps_v20",),
        optional=True,
    ),
    Checkpoint(
        "mps",
        "MPS overall, CLIP ViT-H/14, plain state dict",
        Url("https://pai-aigc-photog.oss-cn-hangzhou.aliyuncs.com/easyanimate/Third_Party/MPS_overall.pth"),
        (File("MPS_overall.pth", md5="1491cbbbd20565747fe07e7572e2ac56"),),
        "MIT",
        ("mps",),
    ),
    Checkpoint(
        "image_reward",
        "ImageReward v1.0, BLIP ViT-L/16",
        Hub("zai-org/ImageReward", "5736be03b2652728fb87788c9797b0570450ab72"),
        (File("ImageReward.pt"),),
        "Apache-2.0",
        ("image_reward",),
    ),
    Checkpoint(
        "bert_vocab",
        "vocabulary of bert-base-uncased",
        Hub("google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594"),
        (File("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),),
        "Apache-2.0",
        ("image_reward",),
    ),
    Checkpoint(
        "inception",
        "Inception-v3 of FID, TensorFlow graph of 2015-12-05",
        Url(
            "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth"
        ),
        (
            File(
                "weights-inception-2015-12-05-6726825d.pth",
                95_628_359,
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            ),
        ),
        "Apache-2.0",
        ("fid", "fid_clean", "kid"),
    ),
    Checkpoint(
        "clip_336",
        "OpenAI CLIP ViT-L/14 at 336 px",
        Hub("openai/clip-vit-large-patch14-336", "ce19dc912ca5cd21c8a653c79e251e808ccabcd1"),
        (File("pytorch_model.bin"), *map(File, CLIP_FILES)),
        "MIT",
        ("cmmd",),
    ),
    Checkpoint(
        "dinov2",
        "DINOv2 ViT-L/14",
        Url("https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth"),
        (
            File(
                "dinov2_vitl14_pretrain.pth",
                1_217_586_395,
                "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
            ),
        ),
        "Apache-2.0",
        ("fd_dinov2",),
        optional=True,
    ),
    Checkpoint(
        "dino",
        "DINO ViT-B/8",
        Url("https://dl.fbaipublicfiles.com/dino/dino_vitbase8_pretrain/dino_vitbase8_pretrain.pth"),
        (File("dino_vitbase8_pretrain.pth"),),
        "Apache-2.0",
        ("structure",),
    ),
    Checkpoint(
        "alexnet",
        "AlexNet of torchvision, ImageNet",
        Url("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"),
        (File("alexnet-owt-7be5be79.pth", sha256="7be5be79"),),
        "BSD-3-Clause",
        ("lpips",),
    ),
    Checkpoint(
        "vgg16",
        "VGG-16 of torchvision, ImageNet",
        Url("https://download.pytorch.org/models/vgg16-397923af.pth"),
        (File("vgg16-397923af.pth", sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),),
        "BSD-3-Clause",
        ("lpips_vgg",),
        optional=True,
    ),
    Checkpoint(
        "buffalo_l",
        "InsightFace SCRFD-10G and ArcFace ResNet-50 (WebFace600K)",
        Url(
            "https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip",
            File(
                "buffalo_l.zip",
                288_621_354,
                "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
            ),
        ),
        (
            File(
                "det_10g.onnx",
                16_923_827,
                "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
            ),
            File(
                "w600k_r50.onnx",
                174_383_860,
                "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
            ),
        ),
        "non-commercial research only",
        ("id",),
        terms=RESEARCH,
    ),
    Checkpoint(
        "sam_vit_h",
        "Segment Anything ViT-H",
        Url("https://dl.fbaipublicfiles.com/segment_anything/sam_vit_h_4b8939.pth"),
        (
            File(
                "sam_vit_h_4b8939.pth",
                2_564_550_879,
                "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            ),
        ),
        "Apache-2.0",
        ("seg_cons", "seg_cons_hungarian"),
    ),
)

CHECKPOINTS: dict[str, Checkpoint] = {row.name: row for row in _ROWS}
"""All checkpoints by name."""


def chosen(names: Sequence[str]) -> list[Checkpoint]:
    """Return the checkpoints that go by these names: their own, or a metric's; none is what the suite needs.

    Raises:
        UserError: A name is neither a checkpoint's nor a metric's.
    """
    if not names:
        return [row for row in _ROWS if not row.optional]
    metrics = {key for row in _ROWS for key in row.used_by}
    for name in names:
        if name not in CHECKPOINTS and name not in metrics and name != "all":
            raise unknown("checkpoint or metric", name, {*CHECKPOINTS, *metrics, "all"}, "spf-bench weights list")
    # A name that is both, such as mps, means the metric with everything it looks through.
    return [row for row in _ROWS if {"all", row.name, *row.used_by} & {*names}]
