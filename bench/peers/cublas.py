"""The library beside our products: every (m, n, k) of a plan through PyTorch's linear (cuBLAS), with bias, fp16, weights cold.

    duet bench clip-vit-b32 --kernels --json > duet-kernels.json
    python3 bench/peers/cublas.py duet-kernels.json [--sms 16] > cublas.jsonl       one JSON line per size
    python3 bench/peers/cublas.py duet-kernels.json --compare cublas.jsonl          our time, the library's, ratio

Timed as our own are: a chain of one product in a CUDA graph, each link with its own copy of the weights, of more than three times
the L2 together. With --sms everything runs inside a green context of so many SMs. Our product may hold more than the library's
(layer norm, activation, residual): the table names it.
"""
import argparse
import json
import pathlib
import statistics
import sys

L2_TIMES = 3
LEAST_LINKS = 16


def product_sizes(report):
    """The distinct (m, n, k) of a report, in its order; batches of a product count as rows."""
    sizes = []
    for kernel in report["kernels"]:
        size = size_of(kernel)
        if size and size not in sizes:
            sizes.append(size)
    return sizes


def size_of(kernel):
    if "product" not in kernel:
        return None
    product = kernel["product"]
    return product["m"] * product["batch"], product["n"], product["k"]


def link_count(weight_bytes, l2_bytes):
    return max(LEAST_LINKS, L2_TIMES * l2_bytes // weight_bytes + 1)


def measure(replay, size, l2_bytes, samples):
    import torch

    m, n, k = size
    links = link_count(2 * n * k, l2_bytes)
    half = {"device": replay.DEVICE, "dtype": torch.float16}
    weights = [torch.randn(n, k, **half) * k**-0.5 for _ in range(links)]
    bias, x = torch.randn(n, **half), torch.randn(m, k, **half)
    chain = replay.capture(lambda: [torch.nn.functional.linear(x, weight, bias) for weight in weights])
    times = [us / links for us in replay.time_us(chain, samples)]
    return {"us": statistics.median(times), "min_us": min(times), "links": links}


def run(report, args):
    import torch

    import replay
    from lines import Lines

    lines = Lines(args.stop_s, peer="pytorch " + torch.__version__, sms=args.sms, case="linear")
    torch.zeros(1, device=replay.DEVICE)
    green = replay.enter_slice(args.sms) if args.sms else None
    l2_bytes = torch.cuda.get_device_properties(0).L2_cache_size
    with torch.inference_mode():
        for size in product_sizes(report):
            lines.attempt(lambda: measure(replay, size, l2_bytes, args.samples), m=size[0], n=size[1], k=size[2])
    del green


def comparison(report, lines):
    """The rows of the table: (count, problem, our us, the library's us, the library's over ours)."""
    library = {(line["m"], line["n"], line["k"]): line["us"] for line in lines if "us" in line}
    rows = []
    for kernel in report["kernels"]:
        library_us = library.get(size_of(kernel))
        if library_us and kernel["us"] > 0:
            rows.append((kernel["count"], kernel["problem"], kernel["us"], library_us, library_us / kernel["us"]))
    return rows


def print_comparison(rows):
    print("| launches | product | our us | library us | times faster |\n|---|---|---|---|---|")
    for count, problem, our_us, library_us, ratio in rows:
        print(f"| {count} | {problem} | {our_us:.2f} | {library_us:.2f} | {ratio:.2f} |")
    ours, library = (sum(row[0] * row[column] for row in rows) for column in (2, 3))
    if rows:
        print(f"| {sum(row[0] for row in rows)} | all, one after the other | {ours:.1f} | {library:.1f} | {library / ours:.2f} |")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path, help="of duet bench --kernels --json")
    parser.add_argument("--compare", type=pathlib.Path, metavar="LINES", help="print the table from what an earlier call measured")
    parser.add_argument("--sms", type=int, default=0, help="0: the whole GPU")
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--stop-s", type=float, default=0, help="no size is begun after so many seconds; 0: no limit")
    return parser.parse_args()


def main():
    args = parse()
    report = json.loads(args.report.read_text())
    if args.compare:
        print_comparison(comparison(report, [json.loads(line) for line in args.compare.read_text().splitlines()]))
    else:
        run(report, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
