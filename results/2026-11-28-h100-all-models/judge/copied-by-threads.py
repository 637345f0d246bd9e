"""Of the products of recorded spaces, the tiles that threads copy (loader 1): copied-by-threads.py FROM TO, folders of one device each."""
import gzip, pathlib, sys

source, target = map(pathlib.Path, sys.argv[1:])
target.mkdir(parents=True)
for space in source.glob("gemm*.csv.gz"):
    header, *lines = gzip.open(space, "rt").read().splitlines()
    loader = header.split(",").index("loader")
    kept = [line for line in lines if line.split(",")[loader] == "1"]
    if len(kept) >= 8:
        with gzip.open(target / space.name, "wt") as file:
            file.write("\n".join([header, *kept]) + "\n")
