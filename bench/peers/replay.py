"""CUDA graphs, streams and times through PyTorch, on the whole GPU or inside a green context."""
import statistics
import time

import torch

DEVICE = "cuda"
CASE_S = 3.0  # no case is sampled for longer, once it has a few samples
LEAST_SAMPLES = 20


def time_us(function, samples, warmup=5):
    for _ in range(warmup):
        function()
    torch.cuda.synchronize()
    times, end_s = [], time.monotonic() + CASE_S
    while len(times) < samples and (len(times) < LEAST_SAMPLES or time.monotonic() < end_s):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) * 1e3)
    return times


def figures(times):
    return {"median_us": statistics.median(times), "min_us": min(times), "samples": len(times)}


def capture(body):
    """A replay of body() as a graph. The stream is made here: torch keeps its own for captures, and that of another context."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            body()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        body()
    return graph.replay


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


def enter_slice(sms):
    """-> the green context, which must live as long as it is used."""
    from torch.cuda.green_contexts import GreenContext

    torch.cuda.synchronize()
    green = GreenContext.create(num_sms=sms, device_id=0)
    green.set_context()
    return green
