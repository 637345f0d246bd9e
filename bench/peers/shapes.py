"""The published shapes of the dual encoders, as plain values: every peer builds the same models from this table."""
import dataclasses

CLIP_VOCABULARY = 49408
SIGLIP_VOCABULARY = 256000
EOT_TOKEN = 49407  # ends a CLIP text, and pads it


@dataclasses.dataclass(frozen=True)
class Tower:
    width: int
    layers: int
    heads: int
    mlp: int


@dataclasses.dataclass(frozen=True)
class DualShape:
    family: str  # "clip" or "siglip"
    vision: Tower
    text: Tower
    patch: int
    image: int
    length: int  # of a text, in tokens
    vocabulary: int
    projection: int

    @property
    def patches(self):
        return (self.image // self.patch) ** 2


def clip(vision_width, vision_layers, vision_heads, patch, image, text_width, text_layers, text_heads, projection):
    return DualShape("clip", Tower(vision_width, vision_layers, vision_heads, 4 * vision_width),
                     Tower(text_width, text_layers, text_heads, 4 * text_width), patch, image, 77, CLIP_VOCABULARY, projection)


def siglip(width, layers, heads, mlp, patch, image):
    tower = Tower(width, layers, heads, mlp)
    return DualShape("siglip", tower, tower, patch, image, 64, SIGLIP_VOCABULARY, width)


SHAPES = {
    "clip-vit-b32": clip(768, 12, 12, 32, 224, 512, 12, 8, 512),
    "clip-vit-b16": clip(768, 12, 12, 16, 224, 512, 12, 8, 512),
    "clip-vit-l14": clip(1024, 24, 16, 14, 224, 768, 12, 12, 768),
    "siglip2-b16-224": siglip(768, 12, 12, 3072, 16, 224),
    "siglip2-so400m14-384": siglip(1152, 27, 16, 4304, 14, 384),
}
