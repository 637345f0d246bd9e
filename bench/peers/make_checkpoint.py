"""Writes a checkpoint as transformers does (seeded random weights), inputs, and the embeddings transformers gives in fp32.

    python3 bench/peers/make_checkpoint.py clip-vit-b32 DIRECTORY [--batch 1] [--seed 0]

DIRECTORY gets model.safetensors, pixels.npy (f32), input_ids.npy (i32), image_embeds.npy and text_embeds.npy (f32,
normalised), logits_per_image.npy.
"""
import argparse
import pathlib

import numpy as np
import torch

import models


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=sorted(models.MODELS))
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def spread(model, seed):
    """Moves biases and norm parameters off their initial zeros and ones, so that dropping one shows."""
    generator = torch.Generator().manual_seed(seed + 1000)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
            elif "norm" in name and name.endswith("weight"):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def main():
    args = parse()
    model, image, length, vocabulary = models.build(args.model, args.seed)
    spread(model, args.seed)
    pixels, ids = models.inputs(args.batch, image, length, vocabulary, args.seed + 1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    with torch.inference_mode():
        out = model(pixel_values=pixels, input_ids=ids)
    args.directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(args.directory, safe_serialization=True)
    save = lambda name, tensor, dtype: np.save(args.directory / f"{name}.npy", tensor.numpy().astype(dtype))
    save("pixels", pixels, np.float32)
    save("input_ids", ids, np.int32)
    save("image_embeds", out.image_embeds, np.float32)
    save("text_embeds", out.text_embeds, np.float32)
    save("logits_per_image", out.logits_per_image, np.float32)


if __name__ == "__main__":
    main()
