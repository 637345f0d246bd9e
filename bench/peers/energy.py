"""Energy of a run, by the GPU's own counter: what NVML counts before and after many runs, for the whole board."""
import math
import time

IDLE_S = 1.0
CHUNK_S = 0.2  # runs that are enqueued together


class Counter:
    """Millijoules since the driver was loaded. Raises where NVML or its counter is absent."""

    def __init__(self):
        import pynvml

        pynvml.nvmlInit()
        device = pynvml.nvmlDeviceGetHandleByIndex(0)
        self.read_mj = lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(device)


def energy_of(run_many, run_us, seconds, counter=None):
    """run_many(n) does n runs back to back and waits for the last; run_us is about how long one takes."""
    counter = counter or Counter()
    idle_w = mean_power_w(counter, lambda: time.sleep(IDLE_S))[0]
    chunk = max(1, math.ceil(CHUNK_S * 1e6 / run_us))
    runs = 0

    def work():
        nonlocal runs
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            run_many(chunk)
            runs += chunk

    power_w, energy_mj, elapsed_s = mean_power_w(counter, work)
    return {"energy_mj": energy_mj / runs, "power_w": power_w, "idle_power_w": idle_w, "runs": runs,
            "back_to_back_us": elapsed_s * 1e6 / runs}


def mean_power_w(counter, work):
    """-> (mean power in W, energy in mJ, seconds) of work()."""
    before, start = counter.read_mj(), time.perf_counter()
    work()
    seconds, energy_mj = time.perf_counter() - start, counter.read_mj() - before
    return energy_mj / 1e3 / seconds, energy_mj, seconds
