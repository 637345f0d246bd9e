"""Dual encoders of the published shapes, with seeded random weights, as transformers builds them."""
import torch
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

import shapes


def tower_config(tower):
    return dict(hidden_size=tower.width, intermediate_size=tower.mlp, num_hidden_layers=tower.layers,
                num_attention_heads=tower.heads)


def transformers_model(shape):
    text = dict(**tower_config(shape.text), vocab_size=shape.vocabulary, max_position_embeddings=shape.length)
    vision = dict(**tower_config(shape.vision), patch_size=shape.patch, image_size=shape.image)
    if shape.family == "siglip":
        return SiglipModel(SiglipConfig(text_config=dict(**text, projection_size=shape.projection), vision_config=vision))
    projection = dict(projection_dim=shape.projection)
    tokens = dict(bos_token_id=shapes.EOT_TOKEN - 1, eos_token_id=shapes.EOT_TOKEN)
    return CLIPModel(CLIPConfig(text_config=dict(**text, **projection, **tokens), vision_config=dict(**vision, **projection),
                                **projection))


class DualEncoder(torch.nn.Module):
    """The two towers, each giving its projected (not normalised) embedding."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def image(self, pixels):
        pooled = self.model.vision_model(pixel_values=pixels).pooler_output
        return self.model.visual_projection(pooled) if hasattr(self.model, "visual_projection") else pooled

    def text(self, ids):
        pooled = self.model.text_model(input_ids=ids).pooler_output
        return self.model.text_projection(pooled) if hasattr(self.model, "text_projection") else pooled

    def forward(self, pixels, ids):
        return self.image(pixels), self.text(ids)


def build(shape, seed=0, device="cpu"):
    """-> the model in eval mode and fp32 on `device`. Weights are drawn on the device, which takes seconds less there for a
    model of a billion weights; they differ between devices."""
    torch.manual_seed(seed)
    with torch.device(device):
        return transformers_model(shape).eval()


def inputs(shape, batch, seed=1):
    """-> (pixels (batch, 3, image, image) f32, ids (batch, length) i64), both on the CPU. Texts end at different places, as
    captions do."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(batch, 3, shape.image, shape.image, generator=generator)
    ids = torch.randint(1, min(shape.vocabulary, shapes.EOT_TOKEN - 1) - 2, (batch, shape.length), generator=generator)
    for row in range(batch):
        end = int(torch.randint(4, shape.length, (1,), generator=generator))
        if shape.vocabulary == shapes.CLIP_VOCABULARY:
            ids[row, end:] = shapes.EOT_TOKEN
    return pixels, ids
