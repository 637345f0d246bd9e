"""What a user would pick instead: PyTorch on the same GPU. One JSON line per case, latency in microseconds.

    python3 bench/peers/pytorch.py clip-vit-b32 siglip2-b16-224 --batch 1 8 --sms 0 16 [--samples 200] [--energy-s 10] [--compile]

Cases: eager, a CUDA graph on one stream, a CUDA graph on two streams (a tower each), and with --compile torch.compile's
max-autotune under one and two streams. fp16, seeded random weights, event-timed; also the number of kernels eager launches, and
with --energy-s the energy of the fastest case. A case that fails is a line with "error".

Each --sms value (0: the whole GPU) is a process of its own, forked after the imports: models are built in the primary context,
then a green context of so many SMs is entered, and only then streams are made: they belong to the context that is current. The
case "ceilings" shows what the place gives, measured through the same streams.
"""
import argparse
import os
import statistics
import sys
import time
import traceback

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asking for a GPU must not initialise CUDA before the forks

import torch

import models
import shapes
from energy import energy_of
from lines import Lines
from replay import DEVICE, capture, enter_slice, figures, time_us, two_streams


def kernel_count(function):
    function()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        function()
        torch.cuda.synchronize()
    return {"kernels": sum(1 for event in profile.events() if event.device_type == torch.autograd.DeviceType.CUDA)}


def ceilings(a, b, source, target):
    """Products and a stream of bytes through the graphs and streams that the cases use. A stream that has left its green context
    would show: two streams give no more than one."""
    size = len(a)
    tflops = lambda products, replay: products * 2 * size**3 / statistics.median(time_us(replay, 20, 3)) / 1e6
    copy_us = statistics.median(time_us(capture(lambda: torch.add(source, 1, out=target)), 20, 3))
    return {"tflops": tflops(1, capture(lambda: a @ b)), "copy_tbps": 2 * source.nbytes / copy_us / 1e6,
            "tflops_two_streams": tflops(2, capture(two_streams(lambda: a @ b, lambda: b @ a)))}


class Cases:
    """The cases of one model at one batch."""

    def __init__(self, dual, pixels, ids, args, lines, fields):
        self.dual, self.pixels, self.ids, self.args = dual, pixels, ids, args
        self.lines, self.fields = lines, fields
        self.fastest = None  # (median us, case, function)

    def run(self, whole_gpu):
        both = lambda: self.dual(self.pixels, self.ids)
        image, text = lambda: self.dual.image(self.pixels), lambda: self.dual.text(self.ids)
        self.time("eager", lambda: (both, {}), min(self.args.samples, 60))
        if whole_gpu:
            self.lines.attempt(lambda: kernel_count(both), case="eager_kernels", **self.fields)
        self.time("graph", lambda: (capture(both), {}))
        self.time("graph_two_streams", lambda: (capture(two_streams(image, text)), {}))
        if self.args.compile:
            self.time("compile", lambda: self.compiled(lambda image, text: lambda: (image(), text())))
            self.time("compile_two_streams", lambda: self.compiled(two_streams))
        if self.args.energy_s and self.fastest:
            self.lines.attempt(self.energy, case="energy", **self.fields)

    def time(self, case, make, samples=None):
        """make() -> (function to time, extra fields)."""
        function = None

        def work():
            nonlocal function
            function, extra = make()
            return {**figures(time_us(function, samples or self.args.samples)), **extra}

        result = self.lines.attempt(work, case=case, **self.fields)
        if result and (self.fastest is None or result["median_us"] < self.fastest[0]):
            self.fastest = (result["median_us"], case, function)

    def compiled(self, together):
        started = time.time()
        tune = lambda tower: torch.compile(tower, mode="max-autotune-no-cudagraphs", dynamic=False)
        image, text = tune(self.dual.image), tune(self.dual.text)
        image(self.pixels), text(self.ids)
        torch.cuda.synchronize()
        replay = capture(together(lambda: image(self.pixels), lambda: text(self.ids)))
        return replay, {"compile_s": time.time() - started}

    def energy(self):
        median_us, case, function = self.fastest

        def run_many(count):
            for _ in range(count):
                function()
            torch.cuda.synchronize()

        return {"of": case, **energy_of(run_many, median_us, self.args.energy_s)}


def build(name):
    return models.DualEncoder(models.build(shapes.SHAPES[name], device=DEVICE).to(torch.float16))


def measure_models(args, sms):
    lines = Lines(args.stop_s, peer="pytorch " + torch.__version__, sms=sms)
    duals = {}
    for name in args.models:
        lines.attempt(timed(lambda: duals.update({name: build(name)})), model=name, case="build")
    operands = [torch.randn(4096, 4096, device=DEVICE, dtype=torch.float16) for _ in range(2)]
    operands += [torch.zeros(1 << 27, device=DEVICE, dtype=torch.float16) for _ in range(2)]
    green = lines.guard(lambda: enter_slice(sms), case="green_context") if sms else None
    if sms and green is None:
        return
    lines.attempt(lambda: ceilings(*operands), case="ceilings")
    operands.clear()
    for name, dual in duals.items():
        for batch in args.batch:
            fields = {"model": name, "batch": batch}
            pixels, ids = models.inputs(shapes.SHAPES[name], batch)
            pixels, ids = pixels.to(DEVICE, torch.float16), ids.to(DEVICE)
            Cases(dual, pixels, ids, args, lines, fields).run(whole_gpu=not sms)
    del green


def timed(work):
    def run():
        start = time.monotonic()
        work()
        torch.cuda.synchronize()
        return {"seconds": round(time.monotonic() - start, 2)}

    return run


def measure_here(args, sms):
    try:
        torch.zeros(1, device=DEVICE)
    except RuntimeError:
        if args.no_fork:
            raise
        # CUDA was initialised before the fork after all: the same in a new process, at the price of its imports.
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.argv, "--sms", str(sms), "--no-fork"])
    with torch.inference_mode():
        measure_models(args, sms)


def in_child(work):
    """Runs work() in a forked process. -> its exit code, negative for a signal."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=sorted(shapes.SHAPES), metavar="MODEL")
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--sms", type=int, nargs="+", default=[0], help="0: the whole GPU")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--energy-s", type=float, default=0, help="seconds of replays whose energy is measured; 0: none")
    parser.add_argument("--stop-s", type=float, default=0, help="no case is begun after so many seconds of an --sms value; 0: no limit")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--no-fork", action="store_true", help="all in this process; one --sms value")
    return parser.parse_args()


def main():
    args = parse()
    if args.no_fork:
        measure_here(args, args.sms[0])
        return
    for sms in args.sms:
        code = in_child(lambda: measure_here(args, sms))
        if code:
            Lines(peer="pytorch " + torch.__version__, sms=sms).write(case="process", error=f"ended with {code}; see stderr")


if __name__ == "__main__":
    main()
