"""Write ``period.json``: the analysis of the ten sessions of ``tests/store/analysis_samples.py``.

Why it is right: every figure of it that is not a zero, a null or a copy of an input is worked out
by hand in ``tests/store/test_analyses.py``, which is to be changed first; this only keeps all of
the record, on both databases, to the last digit. Run from the root of the repository::

    PYTHONPATH=.:tests/store python tests/golden/analysis/make_golden.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from analysis_samples import DAY, fill

from anc_core.store import analyse_period, open_database

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/anc.db")
        fill(database)
        with database.read() as db:
            analysis = analyse_period(db, DAY, group_by=["device"])
        database.dispose()
    Path(__file__).with_name("period.json").write_text(analysis.to_json(indent=1) + "\n")
