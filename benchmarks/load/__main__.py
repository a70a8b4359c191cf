"""Load the platform, case by case; docs/sizing.md says what came of it.

python -m benchmarks.load many              # 5 000 recordings of 2 s, on both stores
python -m benchmarks.load long              # 10 min, 2 h and 24 h, 16 kHz mono
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.load import day, long, many, together, wide
from benchmarks.load.site import STORES


def main() -> None:
    """Run the case that is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=["many", "long", "wide", "together", "day"])
    parser.add_argument("--folder", type=Path, help="where the recordings are made")
    parser.add_argument("--store", choices=STORES, help="instead of both")
    parser.add_argument("--count", type=int, default=many.MANY, help="recordings of the case many")
    words = parser.parse_args()
    if words.case == "long":
        long.measure(words.folder)
    if words.case == "wide":
        wide.measure(words.folder)
    for store in [words.store] if words.store else STORES:
        if words.case == "many":
            many.measure(words.folder, store, words.count)
        if words.case == "together":
            together.measure(words.folder, store)
        if words.case == "day":
            day.measure(words.folder, store)


if __name__ == "__main__":
    main()
