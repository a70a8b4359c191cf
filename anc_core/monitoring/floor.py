"""Counters never fall, also where the store forgets: the highest values seen, in a file.

Context: a failed session that is tried again leaves its day and comes back with another result, so
a total may fall by one. Prometheus takes that for a counter that began at 0 again, and
``increase()`` then reports the whole total at once.
Decision: the highest value of every series is kept in ``ANC_HOME``; a lower one is not shown.
Consequence: a failure that is cured on the same day hides the next one of its code from the
counter, not from the figures of a window. A store that was restored or emptied (less than half of
its sessions are left) begins again, as a counter may.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from anc_core.errors import RecordingError
from anc_core.files import write_text_atomic
from anc_core.monitoring.families import FAMILIES, SESSIONS, Samples

_log = logging.getLogger(__name__)

_COUNTERS = frozenset(family.name for family in FAMILIES if family.kind == "counter")
_LEFT_SHARE = 0.5


def raised(samples: Samples, file: Path, store: str) -> Samples:
    """Return ``samples`` with every counter at least at its highest value, and remember that.

    Parameters
    ----------
    samples : Samples
        Counters and others.
    file : Path
        What was remembered; need not exist.
    store : str
        Whose counters they are: those of another store are forgotten.
    """
    before = _read(file, store)
    if _sessions(samples) < _LEFT_SHARE * _sessions(before):
        before = {}
    now = {key: value for key, value in samples.items() if key[0] in _COUNTERS}
    highest = {key: max(now.get(key, 0.0), before.get(key, 0.0)) for key in sorted({*now, *before})}
    if highest != before:
        _write(file, store, highest)
    return samples | highest


def _sessions(samples: Samples) -> float:
    return sum(value for (name, _), value in samples.items() if name == SESSIONS.name)


def _read(file: Path, store: str) -> Samples:
    try:
        content = json.loads(file.read_bytes())
        if content["store"] != store:
            return {}
        return {
            (str(name), tuple(map(str, labels))): float(value)
            for name, labels, value in content["highest"]
            if name in _COUNTERS
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as err:
        _log.warning("%s: cannot be read, counters may fall once: %s", file, err)
        return {}


def _write(file: Path, store: str, highest: Samples) -> None:
    rows = [[name, list(labels), value] for (name, labels), value in highest.items()]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(file, json.dumps({"store": store, "highest": rows}))
    except (OSError, RecordingError) as err:
        _log.warning("%s: cannot be written, counters may fall: %s", file, err)
