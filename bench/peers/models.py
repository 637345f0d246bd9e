"""Dual encoders of the published shapes, with seeded random weights, as transformers builds them."""
import torch
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

EOT_TOKEN = 49407


def clip(vision_width, vision_layers, vision_heads, patch, image, text_width, text_layers, text_heads, projection):
    config = CLIPConfig(
        text_config=dict(
            hidden_size=text_width, intermediate_size=4 * text_width, num_hidden_layers=text_layers,
            num_attention_heads=text_heads, vocab_size=49408, max_position_embeddings=77, projection_dim=projection,
            bos_token_id=49406, eos_token_id=EOT_TOKEN),
        vision_config=dict(
            hidden_size=vision_width, intermediate_size=4 * vision_width, num_hidden_layers=vision_layers,
            num_attention_heads=vision_heads, patch_size=patch, image_size=image, projection_dim=projection),
        projection_dim=projection)
    return CLIPModel(config), image, 77, 49408


def siglip(width, layers, heads, intermediate, patch, image, vocabulary=256000):
    config = SiglipConfig(
        text_config=dict(
            hidden_size=width, intermediate_size=intermediate, num_hidden_layers=layers, num_attention_heads=heads,
            vocab_size=vocabulary, max_position_embeddings=64, projection_size=width),
        vision_config=dict(
            hidden_size=width, intermediate_size=intermediate, num_hidden_layers=layers, num_attention_heads=heads,
            patch_size=patch, image_size=image))
    return SiglipModel(config), image, 64, vocabulary


MODELS = {
    "clip-vit-b32": lambda: clip(768, 12, 12, 32, 224, 512, 12, 8, 512),
    "clip-vit-b16": lambda: clip(768, 12, 12, 16, 224, 512, 12, 8, 512),
    "clip-vit-l14": lambda: clip(1024, 24, 16, 14, 224, 768, 12, 12, 768),
    "siglip2-b16-224": lambda: siglip(768, 12, 12, 3072, 16, 224),
    "siglip2-so400m14-384": lambda: siglip(1152, 27, 16, 4304, 14, 384),
}


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


def build(name, seed=0, device="cpu"):
    """-> (model in eval mode and fp32 on `device`, image size, text length, vocabulary). Weights are drawn on the device, which
    takes seconds less there for a model of a billion weights; they differ between devices."""
    torch.manual_seed(seed)
    with torch.device(device):
        model, image, length, vocabulary = MODELS[name]()
    return model.eval(), image, length, vocabulary


def inputs(batch, image, length, vocabulary, seed=1):
    """-> (pixels (batch, 3, image, image) f32, ids (batch, length) i64), both on the CPU. Texts end at different places, as captions do."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(batch, 3, image, image, generator=generator)
    ids = torch.randint(1, min(vocabulary, 49406) - 2, (batch, length), generator=generator)
    for row in range(batch):
        end = int(torch.randint(4, length, (1,), generator=generator))
        if vocabulary == 49408:
            ids[row, end:] = EOT_TOKEN
    return pixels, ids
