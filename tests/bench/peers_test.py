"""What of bench/peers needs no GPU and no framework: tables, energy, failing cases. Run by ctest."""
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "peers"))
import cublas
import energy
import shapes
import summarise
from lines import Lines


def written(work):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        work()
    return [json.loads(line) for line in out.getvalue().splitlines()]


class LinesTest(unittest.TestCase):
    def test_a_failing_case_is_a_line_and_the_next_goes_on(self):
        def work():
            lines = Lines(peer="p")
            self.assertIsNone(lines.attempt(lambda: 1 // 0, case="a"))
            self.assertEqual(lines.attempt(lambda: {"us": 2}, case="b"), {"us": 2})

        failed, good = written(work)
        self.assertIn("ZeroDivisionError", failed["error"])
        self.assertEqual(good, {"peer": "p", "case": "b", "us": 2})

    def test_no_case_begins_after_the_end(self):
        def work():
            lines = Lines(stop_s=0.001)
            time.sleep(0.01)
            lines.attempt(lambda: self.fail("begun"), case="a")

        self.assertEqual(written(work), [{"case": "a", "error": "left out: no time"}])


class EnergyTest(unittest.TestCase):
    def test_is_shared_among_the_runs(self):
        class Counter:
            runs = 0

            def read_mj(self):
                return 2000.0 * self.runs

        counter, energy.IDLE_S = Counter(), 0.01

        def run_many(count):
            counter.runs += count

        figures = energy.energy_of(run_many, 50e3, 0.001, counter)
        self.assertEqual(figures["energy_mj"], 2000)
        self.assertEqual(figures["runs"], counter.runs)
        self.assertEqual(figures["idle_power_w"], 0)


OURS = [{"model": "m", "batch": 1, "target": "auto", "precision": "f16", "median_us": 400.0, "floor_us": 88.0,
         "image_cosine": 0.9999993, "text_cosine": 0.9999995, "energy": {"energy_mj": 150.0, "power_w": 375.0, "idle_power_w": 100.0}},
        {"model": "m", "batch": 1, "target": "auto/16sm", "precision": "f16", "median_us": 900.0, "floor_us": 114.0,
         "image_cosine": 0.9999993, "text_cosine": 0.9999995},
        {"model": "m", "batch": 8, "target": "auto", "precision": "f16", "error": "no time"}]
PEERS = [{"peer": "pytorch 2.11.0+cu130", "model": "m", "batch": 1, "sms": 0, "case": "graph", "median_us": 1200.0},
         {"peer": "jax 0.11", "model": "m", "batch": 1, "sms": 0, "case": "xla", "median_us": 2100.0, "queued_us": 600.0},
         {"peer": "pytorch 2.11.0+cu130", "sms": 16, "case": "ceilings", "tflops": 108.0},
         {"peer": "pytorch 2.11.0+cu130", "model": "m", "batch": 1, "sms": 16, "case": "graph", "error": "RuntimeError: no"}]


class SummariseTest(unittest.TestCase):
    def test_names_the_best_peer_of_the_same_place(self):
        text = summarise.summary(OURS, PEERS)
        self.assertIn("| m | 1 | all | f16 | **400.0** | 88.0 | 0.9999993 | 0.9999995 | 600.0 | jax 0.11 xla | 1.50 |", text)
        self.assertIn("| m | 1 | 16 | f16 | **900.0** | 114.0 | 0.9999993 | 0.9999995 |  |  |  |", text)
        self.assertIn("| m | 1 | all | duet f16 | 150.00 | 375 | 100 |", text)
        self.assertEqual(text.count("\n- {"), 2)

    def test_a_line_cut_off_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "models.jsonl"
            path.write_text(json.dumps(OURS[0]) + '\n{"model": "m", "ba')
            with contextlib.redirect_stderr(io.StringIO()) as said:
                self.assertEqual(summarise.read_lines(path), OURS[:1])
            self.assertIn("models.jsonl:2", said.getvalue())
            self.assertEqual(summarise.read_lines(path.with_name("absent")), [])


class CublasTest(unittest.TestCase):
    REPORT = {"kernels": [{"problem": "gemm a", "count": 12, "us": 4.0, "product": {"m": 50, "n": 2304, "k": 768, "batch": 1}},
                          {"problem": "attention", "count": 12, "us": 3.0},
                          {"problem": "gemm b", "count": 12, "us": 5.0, "product": {"m": 50, "n": 2304, "k": 768, "batch": 1}},
                          {"problem": "gemm c", "count": 1, "us": 0, "product": {"m": 5, "n": 8, "k": 8, "batch": 2}}]}

    def test_measures_each_size_once(self):
        self.assertEqual(cublas.product_sizes(self.REPORT), [(50, 2304, 768), (10, 8, 8)])
        self.assertEqual(cublas.link_count(2 * 2304 * 768, 50 << 20), 45)
        self.assertEqual(cublas.link_count(1 << 30, 50 << 20), cublas.LEAST_LINKS)

    def test_compares_what_both_measured(self):
        lines = [{"m": 50, "n": 2304, "k": 768, "us": 5.0}, {"m": 10, "n": 8, "k": 8, "error": "no"}]
        self.assertEqual(cublas.comparison(self.REPORT, lines), [(12, "gemm a", 4.0, 5.0, 1.25), (12, "gemm b", 5.0, 5.0, 1.0)])


class ShapesTest(unittest.TestCase):
    def test_patches_as_published(self):
        self.assertEqual({name: shape.patches for name, shape in shapes.SHAPES.items()},
                         {"clip-vit-b32": 49, "clip-vit-b16": 196, "clip-vit-l14": 256, "siglip2-b16-224": 196,
                          "siglip2-so400m14-384": 729})


if __name__ == "__main__":
    unittest.main()
