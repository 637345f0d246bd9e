"""One table of what scripts/gpu-models measured: ours beside the best peer, as Markdown for results/*/README.md.

    python3 bench/peers/summarise.py OUT        reads OUT/models.jsonl and OUT/peers.jsonl; either may be absent

The best peer is the fastest case of the same model, batch and number of SMs; XLA counts by the time of queued calls. Peers run in
fp16 and are compared with our fp16.
"""
import argparse
import json
import pathlib
import sys

COLUMNS = ("model", "batch", "SMs", "precision", "median us", "floor us", "image cosine", "text cosine", "best peer us", "which",
           "times faster")
ENERGY_COLUMNS = ("model", "batch", "SMs", "what", "mJ a run", "W", "W idle before")
NO_CASES = ("build", "ceilings", "energy")


def read_lines(path):
    """The objects of a file of JSON lines; a line cut off by a time limit is left out, and said."""
    objects = []
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
        try:
            objects.append(json.loads(line))
        except json.JSONDecodeError:
            print(f"{path}:{number}: not JSON, left out", file=sys.stderr)
    return objects


def sms_of(target):
    """auto: 0, the whole GPU; auto/16sm: 16."""
    return int(target.split("/")[1].removesuffix("sm")) if "/" in target else 0


def place(sms):
    return str(sms) if sms else "all"


def peer_us(peer):
    return peer.get("queued_us", peer.get("median_us"))


def peer_name(peer):
    return f"{peer['peer'].split('+')[0]} {peer['case']}"


def best_peers(peers):
    """-> {(model, batch, sms): the fastest peer's line}"""
    best = {}
    for peer in peers:
        if peer["case"] in NO_CASES or peer_us(peer) is None:
            continue
        key = (peer["model"], peer["batch"], peer["sms"])
        if key not in best or peer_us(peer) < peer_us(best[key]):
            best[key] = peer
    return best


def table(columns, rows):
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (columns, ["---"] * len(columns), *rows)])


def latency_row(line, peer):
    peer_cells = [f"{peer_us(peer):.1f}", peer_name(peer), f"{peer_us(peer) / line['median_us']:.2f}"] if peer else [""] * 3
    return [line["model"], str(line["batch"]), place(sms_of(line["target"])), line["precision"], f"**{line['median_us']:.1f}**",
            f"{line['floor_us']:.1f}", f"{line['image_cosine']:.7f}", f"{line['text_cosine']:.7f}", *peer_cells]


def energy_row(model, batch, sms, what, energy):
    return [model, str(batch), place(sms), what, f"{energy['energy_mj']:.2f}", f"{energy['power_w']:.0f}",
            f"{energy['idle_power_w']:.0f}"]


def energy_rows(ours, peers):
    for line in ours:
        if "energy" in line:
            yield energy_row(line["model"], line["batch"], sms_of(line["target"]), f"duet {line['precision']}", line["energy"])
    for peer in peers:
        if peer["case"] == "energy" and "energy_mj" in peer:
            yield energy_row(peer["model"], peer["batch"], peer["sms"], f"{peer['peer'].split('+')[0]} {peer['of']}", peer)


def summary(ours, peers):
    best = best_peers(peers)
    measured = [line for line in ours if "error" not in line]
    rows = [latency_row(line, best.get((line["model"], line["batch"], sms_of(line["target"]))) if line["precision"] == "f16" else None)
            for line in measured]
    parts = [table(COLUMNS, rows)]
    energies = sorted(energy_rows(measured, peers))
    if energies:
        parts.append(table(ENERGY_COLUMNS, energies))
    failures = [line for line in ours + peers if "error" in line]
    if failures:
        parts.append("\n".join(["Not measured:"] + [f"- {json.dumps(line)}" for line in failures]))
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    out = parser.parse_args().out
    ours, peers = read_lines(out / "models.jsonl"), read_lines(out / "peers.jsonl")
    if not ours and not peers:
        print(f"{out}: neither models.jsonl nor peers.jsonl holds a line; scripts/gpu-models writes them", file=sys.stderr)
        return 1
    print(summary(ours, peers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
