"""Architectures of transformers, built small and with random weights, for `coverage.py`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Built = tuple[nn.Module, dict[str, Any]]
Builder = Callable[[Any], Built]

# A plain Transformer, and the four stages of a pyramid.
PLAIN = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
}
HEADS = [1, 2, 3, 4]
WIDTHS = [16, 32, 48, 64]
DETR = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "num_queries": 12,
}
REAL_TIME = {
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [32, 48, 64],
    "encoder_ffn_dim": 64,
    "encoder_attention_heads": 4,
    "d_model": 32,
    "num_queries": 12,
    "decoder_in_channels": [32, 32, 32],
    "decoder_ffn_dim": 64,
    "decoder_layers": 2,
    "decoder_attention_heads": 4,
    "anchor_image_size": None,
}
BERT = {**PLAIN, "vocab_size": 100, "max_position_embeddings": 32}


def image(height: int = 96, width: int | None = None) -> torch.Tensor:
    """Return a random image: (1, 3, height, width)."""
    return torch.randn(1, 3, height, width or height, generator=torch.Generator().manual_seed(0))


def words(length: int = 6) -> dict[str, torch.Tensor]:
    """Return tokens of a text, with their attention mask."""
    ids = torch.arange(5, 5 + length)[None]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def plain(kind: str, side: int = 96, *, model: str = "", **options: Any) -> Builder:
    """Return the builder of a plain vision Transformer of this name."""

    def build(t: Any) -> Built:
        config = getattr(t, f"{kind}Config")(**{"image_size": side, **PLAIN, **options})
        size = config.image_size
        size = (side, side) if isinstance(size, int) else size
        return getattr(t, model or f"{kind}Model")(config), {"pixel_values": image(*size)}

    return build


def pyramid(kind: str, side: int = 96, *, model: str = "", **options: Any) -> Builder:
    """Return the builder of a network of stages of this name."""

    def build(t: Any) -> Built:
        config = getattr(t, f"{kind}Config")(**options)
        return getattr(t, model or f"{kind}Model")(config), {"pixel_values": image(side)}

    return build


def resnet(t: Any, *, names: tuple[str, ...] = ("stage4",), **options: Any) -> Any:
    """Return the configuration of a small ResNet to stand under a detector."""
    small = {"embedding_size": 16, "hidden_sizes": WIDTHS, "depths": [1, 1, 1, 1]}
    return t.ResNetConfig(**{**small, **options}, out_features=list(names))


def small_swin(t: Any) -> Any:
    """Return the configuration of a small Swin to stand under a segmenter."""
    return t.SwinConfig(
        image_size=96,
        embed_dim=16,
        depths=[1, 2, 1, 1],
        num_heads=[1, 2, 4, 4],
        window_size=3,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def detr(kind: str, *, model: str = "", **options: Any) -> Builder:
    """Return the builder of a DETR of this name over a ResNet."""

    def build(t: Any) -> Built:
        deep = kind.startswith("Deformable")
        names = ("stage2", "stage3", "stage4") if deep else ("stage4",)
        backbone = resnet(t, names=names)
        shared = {**DETR, "use_timm_backbone": False, "backbone_config": backbone, **options}
        if kind == "DabDetr":
            shared["hidden_size"] = shared.pop("d_model")
        config = getattr(t, f"{kind}Config")(**shared)
        return getattr(t, model or f"{kind}Model")(config), {"pixel_values": image()}

    return build


def real_time(kind: str, **options: Any) -> Builder:
    """Return the builder of a real-time DETR of this name."""

    def build(t: Any) -> Built:
        backbone = t.RTDetrResNetConfig(
            embedding_size=16,
            hidden_sizes=WIDTHS,
            depths=[1, 1, 1, 1],
            out_features=["stage2", "stage3", "stage4"],
        )
        config = getattr(t, f"{kind}Config")(**REAL_TIME, backbone_config=backbone, **options)
        return getattr(t, f"{kind}Model")(config), {"pixel_values": image()}

    return build


def mask2former(t: Any) -> Built:
    """Mask2Former: sampled attention in the pixel decoder, masked attention in the other."""
    config = t.Mask2FormerConfig(
        backbone_config=small_swin(t),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=64,
        dim_feedforward=64,
        encoder_layers=2,
        decoder_layers=3,
        num_attention_heads=4,
        num_queries=9,
    )
    return t.Mask2FormerModel(config), {"pixel_values": image()}


def maskformer(t: Any) -> Built:
    """MaskFormer over Swin."""
    decoder = t.DetrConfig(**DETR, use_timm_backbone=False, backbone_config=resnet(t))
    config = t.MaskFormerConfig(
        fpn_feature_size=32,
        mask_feature_size=32,
        backbone_config=t.MaskFormerSwinConfig(**small_swin(t).to_diff_dict()),
        decoder_config=decoder,
    )
    return t.MaskFormerModel(config), {"pixel_values": image()}


def oneformer(t: Any) -> Built:
    """OneFormer over Swin, told its task."""
    config = t.OneFormerConfig(
        backbone_config=small_swin(t),
        num_queries=9,
        task_seq_len=7,
        text_encoder_width=32,
        text_encoder_context_length=7,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=50,
        conv_dim=32,
        mask_dim=32,
        hidden_dim=32,
        encoder_feedforward_dim=64,
        dim_feedforward=64,
        encoder_layers=2,
        decoder_layers=3,
        num_attention_heads=4,
        is_training=False,
    )
    task = torch.ones(1, 7, dtype=torch.long)
    return t.OneFormerModel(config), {"pixel_values": image(), "task_inputs": task}


def grounding_dino(t: Any, kind: str = "GroundingDino") -> Built:
    """Grounding DINO: sampled attention, and image and text attending to each other."""
    backbone = small_swin(t)
    backbone.set_output_features_output_indices(["stage2", "stage3", "stage4"], [2, 3, 4])
    config = getattr(t, f"{kind}Config")(
        **DETR, backbone_config=backbone, text_config=t.BertConfig(**BERT), max_text_len=8
    )
    model = getattr(t, f"{kind}Model")(config)
    return model, {"pixel_values": image(), **words()}


def sam(t: Any) -> Built:
    """SAM: windows with decomposed relative positions, and a two-way decoder."""
    vision = t.SamVisionConfig(
        hidden_size=32,
        output_channels=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=96,
        window_size=4,
        global_attn_indexes=[1],
        num_pos_feats=8,
        mlp_dim=32,
    )
    prompt = t.SamPromptEncoderConfig(hidden_size=16, image_size=96, mask_input_channels=4)
    decoder = t.SamMaskDecoderConfig(hidden_size=16, mlp_dim=32, iou_head_hidden_dim=16)
    config = t.SamConfig(
        vision_config=vision.to_dict(),
        prompt_encoder_config=prompt.to_dict(),
        mask_decoder_config=decoder.to_dict(),
    )
    points = torch.tensor([[[[30.0, 40.0]]]])
    return t.SamModel(config), {"pixel_values": image(), "input_points": points}


def sam2(t: Any) -> Built:
    """SAM 2: Hiera with pooled queries."""
    backbone = t.Sam2HieraDetConfig(
        hidden_size=16,
        num_attention_heads=1,
        image_size=[128, 128],
        window_positional_embedding_background_size=[4, 4],
        blocks_per_stage=[1, 2, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 4, 4],
        global_attention_blocks=[4],
    )
    vision = t.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        fpn_hidden_size=32,
    )
    prompt = t.Sam2PromptEncoderConfig(hidden_size=32, image_size=128, mask_input_channels=4)
    decoder = t.Sam2MaskDecoderConfig(hidden_size=32, mlp_dim=32, iou_head_hidden_dim=16)
    config = t.Sam2Config(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder
    )
    points = torch.tensor([[[[30.0, 40.0]]]])
    labels = torch.ones(1, 1, 1, dtype=torch.int32)
    inputs = {"pixel_values": image(128), "input_points": points, "input_labels": labels}
    return t.Sam2Model(config), inputs


def video(kind: str, frames: int, name: str = "pixel_values", **options: Any) -> Builder:
    """Return the builder of a video Transformer of this name."""

    def build(t: Any) -> Built:
        config = getattr(t, f"{kind}Config")(**{**PLAIN, **options})
        clip = torch.randn(1, frames, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        return getattr(t, f"{kind}Model")(config), {name: clip}

    return build


def ast(t: Any) -> Built:
    """The audio spectrogram Transformer."""
    config = t.ASTConfig(**PLAIN, max_length=64, num_mel_bins=48)
    return t.ASTModel(config), {"input_values": torch.randn(1, 64, 48)}


def blip(t: Any) -> Built:
    """BLIP: an image and a text that attends to it."""
    text = t.BlipTextConfig(**BERT, encoder_hidden_size=48, projection_dim=16, is_decoder=True)
    vision = t.BlipVisionConfig(**PLAIN, image_size=96)
    config = t.BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict())
    model = t.BlipForImageTextRetrieval(config)
    return model, {"pixel_values": image(), **words()}


def clip(t: Any) -> Built:
    """CLIP with both its towers."""
    config = t.CLIPConfig(
        text_config={**BERT, "projection_dim": 16},
        vision_config={**PLAIN, "image_size": 96, "patch_size": 16},
        projection_dim=16,
    )
    return t.CLIPModel(config), {"pixel_values": image(), **words()}


def owlvit(t: Any, kind: str = "OwlViT") -> Built:
    """OWL-ViT: boxes for a text."""
    config = getattr(t, f"{kind}Config")(
        text_config=BERT,
        vision_config={**PLAIN, "image_size": 96, "patch_size": 16},
        projection_dim=48,
    )
    model = getattr(t, f"{kind}ForObjectDetection")(config)
    return model, {"pixel_values": image(), **words()}


def align(t: Any) -> Built:
    """ALIGN's image tower: an EfficientNet with squeeze-and-excitation."""
    config = t.AlignVisionConfig(
        image_size=64,
        in_channels=[32, 16, 24],
        out_channels=[16, 24, 32],
        kernel_sizes=[3, 3, 5],
        strides=[1, 2, 2],
        num_block_repeats=[1, 1, 2],
        expand_ratios=[1, 6, 6],
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=32,
    )
    return t.AlignVisionModel(config), {"pixel_values": image(64)}


def siglip2(t: Any) -> Built:
    """SigLIP 2 on a packed sequence of patches."""
    config = t.Siglip2VisionConfig(**PLAIN, num_patches=36)
    inputs = {
        "pixel_values": torch.randn(1, 36, 768),
        "pixel_attention_mask": torch.ones(1, 36, dtype=torch.long),
        "spatial_shapes": torch.tensor([[6, 6]]),
    }
    return t.Siglip2VisionModel(config), inputs


def depth_anything(t: Any) -> Built:
    """Depth Anything over a small DINOv2."""
    backbone = t.Dinov2Config(
        **{**PLAIN, "num_hidden_layers": 4},
        image_size=98,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
    )
    config = t.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=48,
        neck_hidden_sizes=WIDTHS,
        fusion_hidden_size=16,
        head_hidden_size=8,
    )
    return t.DepthAnythingForDepthEstimation(config), {"pixel_values": image(98)}


def zoedepth(t: Any) -> Built:
    """ZoeDepth over a small BEiT."""
    backbone = t.BeitConfig(
        **{**PLAIN, "num_hidden_layers": 4},
        image_size=96,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        use_relative_position_bias=True,
    )
    config = t.ZoeDepthConfig(
        backbone_config=backbone,
        neck_hidden_sizes=WIDTHS,
        fusion_hidden_size=16,
        bottleneck_features=16,
        num_relative_features=8,
        bin_embedding_dim=8,
    )
    return t.ZoeDepthForDepthEstimation(config), {"pixel_values": image()}


def vitpose(t: Any) -> Built:
    """ViTPose on an upright crop: a grid that is not square."""
    backbone = t.VitPoseBackboneConfig(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=[128, 96],
        out_indices=[2],
    )
    config = t.VitPoseConfig(backbone_config=backbone)
    return t.VitPoseForPoseEstimation(config), {"pixel_values": image(128, 96)}


def rf_detr(t: Any) -> Built:
    """RF-DETR: windows in a DINOv2, sampled attention in the decoder."""
    backbone = t.RfDetrDinov2Config(
        hidden_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=112,
        patch_size=14,
        num_windows=2,
        out_features=["stage2", "stage4"],
        window_block_indexes=[0, 2],
    )
    return _light(t, "RfDetr", backbone, 112)


def lw_detr(t: Any) -> Built:
    """LW-DETR: windows in a ViT, sampled attention in the decoder."""
    backbone = t.LwDetrViTConfig(
        hidden_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=128,
        pretrain_image_size=64,
        num_windows=4,
        window_block_indices=[0, 2],
        out_features=["stage2", "stage4"],
    )
    return _light(t, "LwDetr", backbone, 128, projector_scale_factors=[1.0])


def _light(t: Any, kind: str, backbone: Any, side: int, **options: Any) -> Built:
    config = getattr(t, f"{kind}Config")(
        backbone_config=backbone,
        d_model=32,
        decoder_layers=2,
        decoder_ffn_dim=64,
        decoder_self_attention_heads=4,
        decoder_cross_attention_heads=4,
        num_queries=12,
        group_detr=1,
        **options,
    )
    return getattr(t, f"{kind}Model")(config), {"pixel_values": image(side)}


def seggpt(t: Any) -> Built:
    """SegGPT: a prompt above the image, in one tall grid."""
    config = t.SegGptConfig(
        hidden_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=[96, 48],
        pretrain_image_size=48,
        mlp_dim=96,
        decoder_hidden_size=8,
        merge_index=1,
        intermediate_hidden_state_indices=[1, 3],
    )
    inputs = {name: image(48) for name in ("pixel_values", "prompt_pixel_values", "prompt_masks")}
    return t.SegGptModel(config), inputs


STAGES = {"hidden_sizes": WIDTHS, "num_attention_heads": HEADS, "depths": [1, 1, 1, 1]}
SWIN = {
    "image_size": 96,
    "embed_dim": 16,
    "depths": [2, 2, 1],
    "num_heads": [1, 2, 4],
    "window_size": 4,
}

ARCHITECTURES: dict[str, Builder] = {
    "vit": plain("ViT"),
    "deit": plain("DeiT"),
    "beit": plain("Beit", use_relative_position_bias=True),
    "data2vec_vision": plain("Data2VecVision", use_shared_relative_position_bias=True),
    "vit_msn": plain("ViTMSN"),
    "vit_mae": plain(
        "ViTMAE",
        model="ViTMAEForPreTraining",
        decoder_hidden_size=32,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=4,
        decoder_intermediate_size=64,
    ),
    "ijepa": plain("IJepa"),
    "dinov2": plain("Dinov2", 98),
    "dinov2_with_registers": plain("Dinov2WithRegisters", 96),
    "dinov3_vit": plain("DINOv3ViT", num_register_tokens=4),
    "dinov3_convnext": pyramid("DINOv3ConvNext", hidden_sizes=WIDTHS, depths=[1, 1, 1, 1]),
    "swin": pyramid("Swin", **SWIN),
    "swinv2": pyramid("Swinv2", **SWIN),
    "swin2sr": pyramid(
        "Swin2SR", 32, image_size=32, embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=4
    ),
    "pvt": pyramid("Pvt", image_size=96, **STAGES),
    "pvt_v2": pyramid("PvtV2", image_size=96, **STAGES),
    "pvt_v2_linear": pyramid("PvtV2", image_size=96, linear_attention=True, **STAGES),
    "cvt": pyramid(
        "Cvt",
        embed_dim=[16, 32, 48],
        num_heads=[1, 2, 3],
        depth=[1, 2, 3],
    ),
    "segformer": pyramid("Segformer", **STAGES),
    "glpn": pyramid("GLPN", **STAGES),
    "hiera": pyramid(
        "Hiera",
        128,
        image_size=[128, 128],
        embed_dim=16,
        depths=[1, 1, 2, 1],
        num_heads=[1, 2, 4, 8],
        num_query_pool=2,
        masked_unit_size=[8, 8],
    ),
    "mobilevit": pyramid(
        "MobileViT", 256, image_size=256, hidden_sizes=[32, 48, 64], num_attention_heads=4
    ),
    "mobilevitv2": pyramid("MobileViTV2", 64, image_size=64, width_multiplier=0.25),
    "levit": pyramid(
        "Levit",
        224,
        image_size=224,
        hidden_sizes=[32, 48, 64],
        num_attention_heads=[2, 3, 4],
        depths=[1, 1, 1],
        key_dim=[8, 8, 8],
        down_ops=[["Subsample", 8, 4, 4, 2, 2], ["Subsample", 8, 6, 4, 2, 2]],
    ),
    "focalnet": pyramid("FocalNet", image_size=96, embed_dim=16, depths=[1, 1, 1, 1]),
    "poolformer": pyramid("PoolFormer", hidden_sizes=WIDTHS, depths=[1, 1, 1, 1]),
    "swiftformer": pyramid("SwiftFormer", 64, image_size=64, depths=[1, 1, 1, 1]),
    "convnextv2": pyramid("ConvNextV2", hidden_sizes=WIDTHS, depths=[1, 1, 1, 1]),
    "resnet": pyramid("ResNet", embedding_size=16, hidden_sizes=WIDTHS, depths=[1, 1, 1, 1]),
    "efficientnet": pyramid(
        "EfficientNet", 64, image_size=64, width_coefficient=0.5, hidden_dim=640
    ),
    "mask2former": mask2former,
    "maskformer": maskformer,
    "oneformer": oneformer,
    "detr": detr("Detr"),
    "conditional_detr": detr("ConditionalDetr"),
    "deformable_detr": detr("DeformableDetr", num_feature_levels=4),
    "deformable_detr_two_stage": detr(
        "DeformableDetr",
        model="DeformableDetrForObjectDetection",
        two_stage=True,
        with_box_refine=True,
        two_stage_num_proposals=12,
    ),
    "dab_detr": detr("DabDetr"),
    "table_transformer": detr("TableTransformer"),
    "rt_detr": real_time("RTDetr"),
    "rt_detr_v2": real_time("RTDetrV2"),
    "d_fine": real_time("DFine"),
    "rf_detr": rf_detr,
    "lw_detr": lw_detr,
    "grounding_dino": grounding_dino,
    "mm_grounding_dino": lambda t: grounding_dino(t, "MMGroundingDino"),
    "yolos": plain("Yolos", image_size=[96, 64], num_detection_tokens=5),
    "clip": clip,
    "siglip_vision": plain("SiglipVision"),
    "siglip2_vision": siglip2,
    "align_vision": align,
    "owlvit": owlvit,
    "owlv2": lambda t: owlvit(t, "Owlv2"),
    "sam": sam,
    "sam2": sam2,
    "videomae": video("VideoMAE", 4, image_size=64, num_frames=4),
    "timesformer": video("Timesformer", 4, image_size=64, num_frames=4),
    "vivit": video("Vivit", 4, image_size=64, num_frames=4),
    "vjepa2": video(
        "VJEPA2",
        4,
        "pixel_values_videos",
        crop_size=64,
        frames_per_clip=4,
        pred_hidden_size=48,
        pred_num_attention_heads=4,
        pred_num_hidden_layers=1,
        num_pooler_layers=1,
    ),
    "audio_spectrogram_transformer": ast,
    "blip": blip,
    "dpt": plain(
        "DPT",
        model="DPTForDepthEstimation",
        num_hidden_layers=4,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=WIDTHS,
        fusion_hidden_size=16,
    ),
    "depth_anything": depth_anything,
    "zoedepth": zoedepth,
    "vitdet": plain("VitDet", window_block_indices=[0], window_size=3, pretrain_image_size=96),
    "vitpose": vitpose,
    "groupvit_vision": plain(
        "GroupViTVision",
        depths=[1, 1, 1],
        num_group_tokens=[8, 4, 0],
        num_output_groups=[8, 4, 4],
    ),
    "eomt": plain(
        "Eomt",
        model="EomtForUniversalSegmentation",
        num_hidden_layers=3,
        num_blocks=1,
        num_queries=7,
    ),
    "seggpt": seggpt,
    "aimv2_vision": plain("Aimv2Vision", 98),
    "mlcd_vision": plain("MLCDVision", 98),
}
"""Name → what builds the model and its inputs, from the package."""
