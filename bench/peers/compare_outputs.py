"""Compares embeddings written by `duet run --output` with those of transformers (make_checkpoint.py): prints one JSON object.

    python3 bench/peers/compare_outputs.py REFERENCE_DIRECTORY OUTPUT_DIRECTORY [--minimum 0.9999]

Exits with 1 when a cosine is below the minimum or a value is not finite.
"""
import argparse
import json
import pathlib
import sys

import numpy as np


def cosine(a, b):
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--minimum", type=float, default=0.9999)
    args = parser.parse_args()
    result, good = {}, True
    for name in ("image_embeds", "text_embeds"):
        expected, got = np.load(args.reference / f"{name}.npy"), np.load(args.output / f"{name}.npy")
        cosines = [cosine(e, g) for e, g in zip(expected, got, strict=True)]
        worst = float(np.abs(expected - got).max())
        result[name] = {"cosine_min": min(cosines), "max_abs_error": worst}
        good &= bool(np.isfinite(got).all()) and min(cosines) >= args.minimum
    expected, got = (np.load(d / "logits_per_image.npy") for d in (args.reference, args.output))
    result["logits_per_image"] = {"max_abs_error": float(np.abs(expected - got).max()), "scale": float(np.abs(expected).max())}
    result["pass"] = good
    print(json.dumps(result))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
