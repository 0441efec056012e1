"""Random schedules of everything that can happen, one a seed, and what has to be so afterwards.

To find something new, or to see a seed again, word by word::

    python tests/fuzz.py --seed 1000 --runs 500
    python tests/fuzz.py --seed 1234 --verbose
"""

from __future__ import annotations

import argparse
import logging
import sys
import traceback

from fuzz_acts import act
from fuzz_invariants import problems_at
from fuzz_site import Site

__all__ = ["fuzz", "played"]

_ACTS = 60


def played(seed: int, *, verbose: bool = False) -> Site:
    """A site to which many things have happened, and which has come to rest since."""
    site = Site(seed, verbose=verbose)
    for _ in range(_ACTS):
        act(site)
        site.step(site.rng.choice([0, 0, 2, 5, 20, 60]))
    site.heal()
    return site


def fuzz(seed: int, *, verbose: bool = False) -> list[str]:
    """What is wrong after the schedule of a seed."""
    return problems_at(played(seed, verbose=verbose))


def main() -> int:
    """Run from the command line; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description="Random schedules, one a seed.")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds")
    parser.add_argument("--verbose", action="store_true", help="print what happens")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    bad = 0
    for seed in range(given.seed, given.seed + given.runs):
        try:
            problems = fuzz(seed, verbose=given.verbose)
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            problems = [traceback.format_exc()]
        bad += bool(problems)
        if problems:
            print(f"seed {seed}:", *problems, sep="\n  ", flush=True)  # noqa: T201 - a program
    print(f"{given.runs} seeds, {bad} of them bad")  # noqa: T201 - likewise
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
