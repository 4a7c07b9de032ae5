"""Networks that give every pixel a class: images in, logits (batch, class, height, width) out."""

from regard.models.segment import attention_unet, fcn, segformer, unet

__all__ = ["attention_unet", "fcn", "segformer", "unet"]
