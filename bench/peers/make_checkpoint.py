"""Writes checkpoints as transformers does (seeded random weights), inputs, and the embeddings transformers gives in fp32.

    python3 bench/peers/make_checkpoint.py clip-vit-b32 DIRECTORY [--batch 1 8] [--seed 0] [--device cuda]
    python3 bench/peers/make_checkpoint.py clip-vit-b32 siglip2-b16-224 DIRECTORY --folders     DIRECTORY/MODEL for each

A model's folder gets model.safetensors, and for each batch a folder b1, b8 with pixels.npy (f32), input_ids.npy (i32),
image_embeds.npy and text_embeds.npy (f32, normalised), logits_per_image.npy. fp32 means fp32: TF32 is off. With --dtype f16 the
weights are rounded to fp16 before all else: half the file, and the reference is of the rounded weights.
"""
import argparse
import pathlib
import sys
import time

import numpy as np
import torch
from safetensors.torch import save_file

import models
import shapes


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=sorted(shapes.SHAPES), metavar="MODEL")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--folders", action="store_true", help="a folder for each model inside DIRECTORY")
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--dtype", choices=("f32", "f16"), default="f32", help="of the weights in the file")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if len(args.models) > 1 and not args.folders:
        parser.error("several models need --folders")
    return args


def spread(model, seed):
    """Moves biases and norm parameters off their initial zeros and ones, so that dropping one shows."""
    generator = torch.Generator().manual_seed(seed + 1000)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator).to(parameter.device))
            elif "norm" in name and name.endswith("weight"):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator).to(parameter.device))


def write_weights(model, directory, dtype):
    """The model's weights by name, as save_pretrained names them, without its passes over a billion of them."""
    if dtype == "f16":
        model.half().float()
    as_file = (lambda tensor: tensor.half()) if dtype == "f16" else (lambda tensor: tensor)
    directory.mkdir(parents=True, exist_ok=True)
    weights = {name: as_file(tensor).contiguous().cpu() for name, tensor in model.state_dict().items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


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


def write_model(name, directory, args):
    shape = shapes.SHAPES[name]
    model = models.build(shape, args.seed, args.device)
    spread(model, args.seed)
    write_weights(model, directory, args.dtype)
    for batch in args.batch:
        pixels, ids = models.inputs(shape, batch, args.seed + 1)
        write_case(model, directory / f"b{batch}", pixels, ids, args.device)


def main():
    args = parse()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    failed = 0
    for name in args.models:
        start = time.monotonic()
        try:
            write_model(name, args.directory / name if args.folders else args.directory, args)
            print(f"{name}: {time.monotonic() - start:.1f} s", file=sys.stderr)
        except Exception as error:  # the other models are still of use
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
