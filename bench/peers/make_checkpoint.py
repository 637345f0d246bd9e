"""Writes a checkpoint as transformers does (seeded random weights), inputs, and the embeddings transformers gives in fp32.

    python3 bench/peers/make_checkpoint.py clip-vit-b32 DIRECTORY [--batch 1 8] [--seed 0] [--device cuda]

DIRECTORY gets model.safetensors, and for each batch a folder b1, b8 with pixels.npy (f32), input_ids.npy (i32),
image_embeds.npy and text_embeds.npy (f32, normalised), logits_per_image.npy. fp32 means fp32: TF32 is off.
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
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def spread(model, seed):
    """Moves biases and norm parameters off their initial zeros and ones, so that dropping one shows."""
    generator = torch.Generator().manual_seed(seed + 1000)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator).to(parameter.device))
            elif "norm" in name and name.endswith("weight"):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator).to(parameter.device))


def write_case(model, directory, pixels, ids, device):
    with torch.inference_mode():
        out = model(pixel_values=pixels.to(device), input_ids=ids.to(device))
    directory.mkdir(parents=True, exist_ok=True)
    save = lambda name, tensor, dtype: np.save(directory / f"{name}.npy", tensor.cpu().numpy().astype(dtype))
    save("pixels", pixels, np.float32)
    save("input_ids", ids, np.int32)
    save("image_embeds", out.image_embeds, np.float32)
    save("text_embeds", out.text_embeds, np.float32)
    save("logits_per_image", out.logits_per_image, np.float32)


def main():
    args = parse()
    model, image, length, vocabulary = models.build(args.model, args.seed, args.device)
    spread(model, args.seed)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    model.save_pretrained(args.directory, safe_serialization=True)
    for batch in args.batch:
        pixels, ids = models.inputs(batch, image, length, vocabulary, args.seed + 1)
        write_case(model, args.directory / f"b{batch}", pixels, ids, args.device)


if __name__ == "__main__":
    main()
