# Sourced by the scripts that measure on a GPU, from the repository root: gpu_setup OUT PROGRAMS makes OUT, writes
# OUT/environment.txt, and defines `ours PROGRAM ...`, `duet ...` and the folder `work`, gone when the script ends.
gpu_setup() {
  out=$1
  programs=$(realpath "$2")
  export DUET_DATA="$PWD"
  mkdir -p "$out"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  {
    date -u +%Y-%m-%dT%H:%M:%SZ
    echo "duet $(duet --version)"
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,temperature.gpu,power.draw --format=csv
  } | tee "$out/environment.txt"
}
# The bundled libraries are for our programs alone: Python brings its own.
ours() { LD_LIBRARY_PATH="$programs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$programs/$1" "${@:2}"; }
duet() { ours duet "$@"; }
