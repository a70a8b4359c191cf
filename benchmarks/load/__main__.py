"""Load the platform, case by case; see docs/sizing.md for what came of it.

    python -m benchmarks.load long              # 10 min, 2 h and 24 h, 16 kHz mono
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.load import long


def main() -> None:
    """Run the case that is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=["long"])
    parser.add_argument("--folder", type=Path, help="where the recordings are made")
    words = parser.parse_args()
    long.measure(words.folder)


if __name__ == "__main__":
    main()
