"""Memory of a sweep by the number of its neurons: it should not grow.

    python tests/benchmarks/sweep_memory.py                              # 1,000, 10,000 and 50,000 neurons
    python tests/benchmarks/sweep_memory.py --collected wide.sqlite      # with a catalogue that was collected before

Each size in a process of its own, on a copy of one collected catalogue, against a real loopback server; nothing is left out:
ledger, catalogue, scores. The subject is not loaded in these processes, so that it hides nothing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sweep import loopback, sweep

from neuroexplain import Catalogue

SIZES = (1_000, 10_000, 50_000)
LAYERS = "0-16"
"""Of the packaged language model: 26,112 neurons, each with two sides."""


def peak_of(path: Path, neurons: int, url: str) -> tuple[int, float, float, float]:
    """Sweep in a process of its own: calls, seconds, and peak MB here and where scores are computed."""
    half = neurons // 2
    with Catalogue(path) as catalogue:
        calls, seconds, _ = sweep(catalogue, f"random:{half},random:{half}-", url)
    # Not `ru_maxrss`, which a new process has from the one that made it.
    own = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert own is not None
    judging = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return calls, seconds, int(own[1]) / 1024, judging / 1024


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--collected", help="catalogue to copy; without it, one is made")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    out, processes = sys.stdout.write, multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(arguments.collected or Path(folder) / "collected.sqlite")
        if not arguments.collected:
            options = ("--subject", "smollm2", "--corpus", "docs", "--tokens", "8000")
            command = (sys.executable, "-m", "neuroexplain", "collect", *options)
            subprocess.run([*command, "--layers", LAYERS, "--catalogue", str(source)], check=True)
        out(f"{'neurons':>8}{'calls':>9}{'requests/s':>12}{'peak MB':>9}{'judging MB':>12}\n")
        for size in arguments.sizes:
            path = Path(shutil.copy(source, Path(folder) / "sweep.sqlite"))
            with loopback() as server, processes.Pool(1) as pool:
                calls, seconds, own, judging = pool.apply(peak_of, (path, size, server.url))
            out(f"{size:8,}{calls:9,}{calls / seconds:12.0f}{own:9.0f}{judging:12.0f}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
