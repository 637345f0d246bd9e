"""The JAX/XLA peer: the same dual encoders in JAX, one jit of both towers. One JSON line per case, latency in microseconds.

    python3 bench/peers/xla.py clip-vit-b32 clip-vit-b16 --batch 1 8 [--samples 40] [--attention xla cudnn] [--energy-s 10]
    python3 bench/peers/xla.py clip-vit-b32 --check      compares with transformers on equal weights, in fp32 (needs PyTorch)

Complete encoders: patches, tokens, positions, layers, pooling, projection, normalisation; fp16, seeded random weights. XLA cannot
be kept inside a slice of the SMs. "queued_us": many calls enqueued, time over their number; "enqueue_us": the host's part of it,
the queued time is the GPU's only where this is less; "median_us": each call waited for. All by the host's clock. --attention cudnn
uses cuDNN's fused attention in place of what XLA makes of the formula.
"""
import argparse
import functools
import os
import statistics
import sys
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np

import shapes
from energy import energy_of
from lines import Lines

QUEUED_CALLS = 20
EPSILON = {"clip": 1e-5, "siglip": 1e-6}


# ---- weights, by the names of a checkpoint


def layer_shapes(prefix, tower):
    width, mlp = tower.width, tower.mlp
    for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"):
        yield f"{prefix}.{name}.weight", (width, width)
        yield f"{prefix}.{name}.bias", (width,)
    yield from norm_shapes(f"{prefix}.layer_norm1", width)
    yield from norm_shapes(f"{prefix}.layer_norm2", width)
    yield from mlp_shapes(f"{prefix}.mlp", width, mlp)


def norm_shapes(prefix, width):
    yield f"{prefix}.weight", (width,)
    yield f"{prefix}.bias", (width,)


def mlp_shapes(prefix, width, mlp):
    yield f"{prefix}.fc1.weight", (mlp, width)
    yield f"{prefix}.fc1.bias", (mlp,)
    yield f"{prefix}.fc2.weight", (width, mlp)
    yield f"{prefix}.fc2.bias", (width,)


def weight_shapes(shape):
    """Name and shape of every weight of the encoders."""
    vision, text, is_clip = shape.vision, shape.text, shape.family == "clip"
    for prefix, tower in (("vision_model", vision), ("text_model", text)):
        for layer in range(tower.layers):
            yield from layer_shapes(f"{prefix}.encoder.layers.{layer}", tower)
    yield "vision_model.embeddings.patch_embedding.weight", (vision.width, 3, shape.patch, shape.patch)
    yield "vision_model.embeddings.position_embedding.weight", (shape.patches + is_clip, vision.width)
    yield "text_model.embeddings.token_embedding.weight", (shape.vocabulary, text.width)
    yield "text_model.embeddings.position_embedding.weight", (shape.length, text.width)
    yield from norm_shapes("vision_model.post_layernorm", vision.width)
    yield from norm_shapes("text_model.final_layer_norm", text.width)
    if is_clip:
        yield "vision_model.embeddings.class_embedding", (vision.width,)
        yield from norm_shapes("vision_model.pre_layrnorm", vision.width)
        yield "visual_projection.weight", (shape.projection, vision.width)
        yield "text_projection.weight", (shape.projection, text.width)
        return
    yield "vision_model.embeddings.patch_embedding.bias", (vision.width,)
    yield "vision_model.head.probe", (1, 1, vision.width)
    yield "vision_model.head.attention.in_proj_weight", (3 * vision.width, vision.width)
    yield "vision_model.head.attention.in_proj_bias", (3 * vision.width,)
    yield "vision_model.head.attention.out_proj.weight", (vision.width, vision.width)
    yield "vision_model.head.attention.out_proj.bias", (vision.width,)
    yield from norm_shapes("vision_model.head.layernorm", vision.width)
    yield from mlp_shapes("vision_model.head.mlp", vision.width, vision.mlp)
    yield "text_model.head.weight", (shape.projection, text.width)
    yield "text_model.head.bias", (shape.projection,)


def random_weights(shape, seed=0):
    generator = np.random.default_rng(seed)
    draw = lambda dims: (generator.random(dims, dtype=np.float32) - 0.5) * dims[-1] ** -0.5
    return {name: draw(dims) for name, dims in weight_shapes(shape)}


def placed(weights, dtype):
    """On the device, with the three projections of each attention as one matrix."""
    weights = dict(weights)
    for query in [name for name in weights if ".q_proj." in name]:
        parts = [weights.pop(query.replace(".q_proj.", f".{which}_proj.")) for which in "qkv"]
        weights[query.replace(".q_proj.", ".qkv.")] = np.concatenate(parts)
    return {name: jnp.asarray(value, dtype) for name, value in weights.items()}


# ---- the encoders; w(name) is a weight


def linear(w, name, x):
    y = x @ w(f"{name}.weight").T
    return y + w(f"{name}.bias")


def layer_norm(w, name, x, epsilon):
    wide = x.astype(jnp.float32)
    centred = wide - wide.mean(-1, keepdims=True)
    normal = centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return normal.astype(x.dtype) * w(f"{name}.weight") + w(f"{name}.bias")


def activation(family, x):
    return x * jax.nn.sigmoid(1.702 * x) if family == "clip" else jax.nn.gelu(x, approximate=True)


def mlp(w, name, x, family):
    return linear(w, f"{name}.fc2", activation(family, linear(w, f"{name}.fc1", x)))


def attend(q, k, v, heads, causal, implementation):
    split = lambda t: t.reshape(*t.shape[:2], heads, -1)
    out = jax.nn.dot_product_attention(split(q), split(k), split(v), is_causal=causal, implementation=implementation)
    return out.reshape(q.shape)


def layers(w, prefix, tower, x, family, causal, implementation):
    for index in range(tower.layers):
        name = f"{prefix}.encoder.layers.{index}"
        normal = layer_norm(w, f"{name}.layer_norm1", x, EPSILON[family])
        q, k, v = jnp.split(linear(w, f"{name}.self_attn.qkv", normal), 3, -1)
        x = x + linear(w, f"{name}.self_attn.out_proj", attend(q, k, v, tower.heads, causal, implementation))
        x = x + mlp(w, f"{name}.mlp", layer_norm(w, f"{name}.layer_norm2", x, EPSILON[family]), family)
    return x


def patches(w, shape, pixels):
    batch, side, patch = len(pixels), shape.image // shape.patch, shape.patch
    cropped = pixels[:, :, : side * patch, : side * patch]
    tiles = cropped.reshape(batch, 3, side, patch, side, patch).transpose(0, 2, 4, 1, 3, 5)
    matrix = w("vision_model.embeddings.patch_embedding.weight").reshape(shape.vision.width, -1)
    return tiles.reshape(batch, side * side, -1) @ matrix.T


def pooling_head(w, x, heads):
    """SigLIP's: a learned probe attends to all patches."""
    name = "vision_model.head"
    q_matrix, k_matrix, v_matrix = jnp.split(w(f"{name}.attention.in_proj_weight"), 3)
    q_bias, k_bias, v_bias = jnp.split(w(f"{name}.attention.in_proj_bias"), 3)
    probe = jnp.broadcast_to(w(f"{name}.probe"), (len(x), 1, x.shape[-1]))
    pooled = attend(probe @ q_matrix.T + q_bias, x @ k_matrix.T + k_bias, x @ v_matrix.T + v_bias, heads, False, "xla")
    pooled = linear(w, f"{name}.attention.out_proj", pooled)
    return (pooled + mlp(w, f"{name}.mlp", layer_norm(w, f"{name}.layernorm", pooled, EPSILON["siglip"]), "siglip"))[:, 0]


def encode_image(w, shape, pixels, implementation):
    x, is_clip = patches(w, shape, pixels), shape.family == "clip"
    if is_clip:
        token = jnp.broadcast_to(w("vision_model.embeddings.class_embedding"), (len(x), 1, x.shape[-1]))
        x = jnp.concatenate([token, x], 1)
    else:
        x = x + w("vision_model.embeddings.patch_embedding.bias")
    x = x + w("vision_model.embeddings.position_embedding.weight")
    if is_clip:
        x = layer_norm(w, "vision_model.pre_layrnorm", x, EPSILON["clip"])
    x = layers(w, "vision_model", shape.vision, x, shape.family, False, implementation)
    if is_clip:
        return layer_norm(w, "vision_model.post_layernorm", x[:, 0], EPSILON["clip"]) @ w("visual_projection.weight").T
    return pooling_head(w, layer_norm(w, "vision_model.post_layernorm", x, EPSILON["siglip"]), shape.vision.heads)


def encode_text(w, shape, ids, implementation):
    is_clip = shape.family == "clip"
    x = w("text_model.embeddings.token_embedding.weight")[ids] + w("text_model.embeddings.position_embedding.weight")
    x = layers(w, "text_model", shape.text, x, shape.family, is_clip, implementation)
    x = layer_norm(w, "text_model.final_layer_norm", x, EPSILON[shape.family])
    if is_clip:
        end = jnp.argmax(ids == shapes.EOT_TOKEN, -1)
        return jnp.take_along_axis(x, end[:, None, None], 1)[:, 0] @ w("text_projection.weight").T
    return linear(w, "text_model.head", x[:, -1])


def normalised(x):
    wide = x.astype(jnp.float32)
    return wide / jnp.linalg.norm(wide, axis=-1, keepdims=True)


def encoders(shape, implementation):
    """A jitted function (weights, pixels, ids) -> (image_embeds, text_embeds)."""

    def encode(weights, pixels, ids):
        w = weights.__getitem__
        return (normalised(encode_image(w, shape, pixels, implementation)),
                normalised(encode_text(w, shape, ids, implementation)))

    return jax.jit(encode)


# ---- measuring


def inputs(shape, batch, seed=1):
    generator = np.random.default_rng(seed)
    pixels = generator.standard_normal((batch, 3, shape.image, shape.image), dtype=np.float32)
    ids = generator.integers(1, min(shape.vocabulary, shapes.EOT_TOKEN) - 2, (batch, shape.length))
    if shape.family == "clip":
        ids[:, shape.length // 2 :] = shapes.EOT_TOKEN
    return pixels, ids


def microseconds(function):
    """-> (until the results are there, until the calls were enqueued)."""
    start = time.perf_counter()
    results = function()
    enqueued = time.perf_counter()
    jax.block_until_ready(results)
    return (time.perf_counter() - start) * 1e6, (enqueued - start) * 1e6


def measure(call, samples):
    started = time.time()
    jax.block_until_ready(call())
    compile_s = time.time() - started
    queue = lambda: [call() for _ in range(QUEUED_CALLS)]
    for _ in range(3):
        jax.block_until_ready(queue())
    waited = [microseconds(call)[0] for _ in range(samples)]
    queued = [[us / QUEUED_CALLS for us in microseconds(queue)] for _ in range(max(5, samples // 4))]
    done, enqueued = (statistics.median(column) for column in zip(*queued))
    return {"median_us": statistics.median(waited), "min_us": min(waited), "queued_us": done, "enqueue_us": enqueued,
            "samples": samples, "compile_s": compile_s}


def energy(call, run_us, seconds):
    return energy_of(lambda count: jax.block_until_ready([call() for _ in range(count)]), run_us, seconds)


def measure_model(name, args, lines):
    shape = shapes.SHAPES[name]
    dtype = {"f16": jnp.float16, "f32": jnp.float32}[args.dtype]
    weights = placed(random_weights(shape), dtype)
    for batch in args.batch:
        pixels, ids = inputs(shape, batch)
        operands = weights, jnp.asarray(pixels, dtype), jnp.asarray(ids, jnp.int32)
        fields, fastest = {"model": name, "batch": batch}, None
        for attention in args.attention:
            case = "xla" if attention == "xla" else f"xla_{attention}"
            call = functools.partial(encoders(shape, attention), *operands)
            result = lines.attempt(lambda: measure(call, args.samples), case=case, **fields)
            if result and (fastest is None or result["queued_us"] < fastest[0]):
                fastest = result["queued_us"], case, call
        if args.energy_s and fastest:
            lines.attempt(lambda: {"of": fastest[1], **energy(fastest[2], fastest[0], args.energy_s)}, case="energy", **fields)


def check(name, batch):
    """-> the lowest cosine and the largest difference to transformers, same weights, fp32."""
    import torch

    import models

    shape = shapes.SHAPES[name]
    model = models.build(shape)
    pixels, ids = models.inputs(shape, batch)
    with torch.inference_mode():
        expected = models.DualEncoder(model)(pixels, ids)
    expected = [e / e.norm(dim=-1, keepdim=True) for e in expected]
    state = model.state_dict()
    weights = placed({weight: state[weight].numpy() for weight, _ in weight_shapes(shape)}, jnp.float32)
    with jax.default_matmul_precision("float32"):
        got = encoders(shape, "xla")(weights, jnp.asarray(pixels.numpy()), jnp.asarray(ids.numpy(), jnp.int32))
    cosines, differences = [], []
    for e, g in zip(expected, got, strict=True):
        e, g = e.numpy().astype(np.float64), np.asarray(g, np.float64)
        cosines.append(float((e * g).sum(-1).min()))
        differences.append(float(np.abs(e - g).max()))
    if not min(cosines) > 0.99999:
        raise ValueError(f"cosines {cosines} to transformers")
    return {"image_cosine": cosines[0], "text_cosine": cosines[1], "max_abs_error": max(differences)}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=sorted(shapes.SHAPES), metavar="MODEL")
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--attention", nargs="+", choices=("xla", "cudnn"), default=["xla"])
    parser.add_argument("--dtype", choices=("f16", "f32"), default="f16", help="f32: for trying it on a CPU, where XLA has no f16 product")
    parser.add_argument("--energy-s", type=float, default=0, help="seconds of calls whose energy is measured; 0: none")
    parser.add_argument("--stop-s", type=float, default=0, help="no case is begun after so many seconds; 0: no limit")
    parser.add_argument("--check", action="store_true", help="compare with transformers and exit")
    return parser.parse_args()


def main():
    args = parse()
    lines = Lines(args.stop_s, peer="jax " + jax.__version__, sms=0)
    for name in args.models:
        if args.check:
            done = [lines.attempt(lambda: check(name, batch), model=name, batch=batch, case="check") for batch in args.batch]
            if None in done:
                return 1
        else:
            lines.guard(lambda: measure_model(name, args, lines), model=name, case="weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
