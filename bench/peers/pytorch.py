"""What a user would pick instead: PyTorch on the same GPU. One JSON line per case, latency in microseconds.

    python3 bench/peers/pytorch.py clip-vit-b32 --batch 1 8 [--sms 16] [--samples 200] [--compile]

Cases: eager, a CUDA graph on one stream, a CUDA graph on two streams (a tower each), and with --compile torch.compile's
max-autotune under one and two streams. fp16, seeded random weights, event-timed; also the number of kernels eager launches.
With --sms everything runs inside a green context of so many SMs.
"""
import argparse
import json
import statistics
import time

import torch

import models


def time_us(function, samples, warmup=10):
    for _ in range(warmup):
        function()
    torch.cuda.synchronize()
    times = []
    for _ in range(samples):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) * 1e3)
    return times


def capture(body):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            body()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        body()
    return graph


def two_streams(image, text):
    side = torch.cuda.Stream()

    def body():
        current = torch.cuda.current_stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            text()
        image()
        current.wait_stream(side)

    return body


def kernel_count(function):
    function()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        function()
        torch.cuda.synchronize()
    return sum(1 for event in profile.events() if event.device_type == torch.autograd.DeviceType.CUDA)


def cases(dual, pixels, ids, samples, compile_too):
    """Yields (case, samples in us, extra fields)."""
    both = lambda: dual(pixels, ids)
    yield "eager", time_us(both, min(samples, 60)), {"kernels": kernel_count(both)}
    yield "graph", time_us(capture(both).replay, samples), {}
    parallel = two_streams(lambda: dual.image(pixels), lambda: dual.text(ids))
    yield "graph_two_streams", time_us(capture(parallel).replay, samples), {}
    if not compile_too:
        return
    started = time.time()
    mode = "max-autotune-no-cudagraphs"
    image, text = torch.compile(dual.image, mode=mode, dynamic=False), torch.compile(dual.text, mode=mode, dynamic=False)
    image(pixels), text(ids)
    torch.cuda.synchronize()
    seconds = {"compile_s": time.time() - started}
    yield "compile", time_us(capture(lambda: (image(pixels), text(ids))).replay, samples), seconds
    yield "compile_two_streams", time_us(capture(two_streams(lambda: image(pixels), lambda: text(ids))).replay, samples), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=sorted(models.MODELS))
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--sms", type=int, default=0, help="0: the whole GPU")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    if args.sms:
        from torch.cuda.green_contexts import GreenContext

        torch.zeros(1, device="cuda")
        GreenContext.create(num_sms=args.sms, device_id=0).set_context()
    model, image, length, vocabulary = models.build(args.model, device="cuda")
    dual = models.DualEncoder(model).to(torch.float16)
    for batch in args.batch:
        pixels, ids = models.inputs(batch, image, length, vocabulary)
        pixels, ids = pixels.to("cuda", torch.float16), ids.to("cuda")
        with torch.inference_mode():
            for case, times, extra in cases(dual, pixels, ids, args.samples, args.compile):
                print(json.dumps({"peer": "pytorch " + torch.__version__, "model": args.model, "batch": batch, "sms": args.sms,
                                  "case": case, "median_us": statistics.median(times), "min_us": min(times),
                                  "samples": len(times), **extra}), flush=True)


if __name__ == "__main__":
    main()
