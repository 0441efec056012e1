"""How much longer ``import gohan_jobs`` takes than importing attrs and cattrs, which it is made of.

Medians of many fresh interpreters, taken in turns so that other work on the machine slows both
alike. Exit status 1 if the difference is more than 80 ms.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

BARE = "import attrs, cattrs"
NAMES = {
    "import gohan_jobs": "import attrs, cattrs, gohan_jobs",
    "dumps, loads": "import attrs, cattrs; from gohan_jobs import dumps, loads",
    "Lifecycle, MemoryStore": "import attrs, cattrs; from gohan_jobs import Lifecycle, MemoryStore",
    "every name": "import gohan_jobs; [getattr(gohan_jobs, name) for name in gohan_jobs.__all__]",
}
LIMIT = 80.0


def milliseconds(program: str) -> float:
    """One interpreter's time, from its start to its end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return (time.perf_counter() - begun) * 1000


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds of an interpreter, by what it imports; the bare packages come first."""
    taken: dict[str, list[float]] = {name: [] for name in (BARE, *NAMES)}
    for _ in range(rounds):
        for name, times in taken.items():
            times.append(milliseconds(NAMES.get(name, BARE)))
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="interpreters of each kind")
    found = measure(parser.parse_args().rounds)
    bare = found[BARE]
    print(f"{'milliseconds of an interpreter':<40}{'all':>8}{'ratio':>8}{'beyond':>8}")
    for name, taken in found.items():
        print(f"{name:<40}{taken:>8.0f}{taken / bare:>8.2f}{taken - bare:>8.0f}")
    if found["import gohan_jobs"] - bare > LIMIT:
        sys.exit(f"import gohan_jobs takes more than {LIMIT:g} ms")


if __name__ == "__main__":
    main()
