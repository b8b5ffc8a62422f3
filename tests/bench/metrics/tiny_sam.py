"""Segment Anything in miniature: the real code, few channels, random weights that answer with conviction."""

import torch

CONVINCED = 0.95
SHARP = 3000.0


def tiny_sam(seed: int = 0):
    """A `Sam` for 64 px images whose masks are sharp and whose estimated quality is high."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(seed)
    width, grid = 32, 4
    model = Sam(
        image_encoder=ImageEncoderViT(
            img_size=64, patch_size=16, embed_dim=width, depth=2, num_heads=2, out_chans=width, qkv_bias=True,
            use_rel_pos=True, window_size=2, global_attn_indexes=(1,),
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=width, image_embedding_size=(grid, grid), input_image_size=(64, 64), mask_in_chans=4
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=width, num_multimask_outputs=3, iou_head_depth=2, iou_head_hidden_dim=32,
            transformer=TwoWayTransformer(depth=1, embedding_dim=width, mlp_dim=64, num_heads=2),
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    ).eval()  # fmt: skip
    with torch.no_grad():
        model.mask_decoder.iou_prediction_head.layers[-1].bias += CONVINCED
        for head in model.mask_decoder.output_hypernetworks_mlps:
            head.layers[-1].weight *= SHARP
            head.layers[-1].bias *= SHARP
    return model
