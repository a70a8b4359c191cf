"""The figures as the exposition library takes them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from anc_core.errors import AncError
from anc_core.monitoring import families as f
from anc_core.monitoring.families import FAMILIES, Family, Samples
from anc_core.monitoring.floor import raised
from anc_core.monitoring.readings import read_disks, read_models, read_store
from anc_core.settings import Settings
from anc_core.store.engine import parse_url

FLOOR_FILE = "metrics-floor.json"

_log = logging.getLogger(__name__)


class InstallationCollector(Collector):
    """Looks at the installation whenever it is asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._one_at_a_time = threading.Lock()
        self.store_error: str | None = None
        """Why the store did not answer the last time."""

    def describe(self) -> Iterator[Metric]:
        """Yield the families without samples: the registry need not collect to know the names."""
        yield from map(_metric, FAMILIES)

    def collect(self) -> Iterator[Metric]:
        """Yield every family, with the samples that there are at this moment."""
        with self._one_at_a_time:
            samples = self._samples()
        for family in FAMILIES:
            metric = _metric(family)
            for (name, labels), value in samples.items():
                if name == family.name:
                    metric.add_metric(labels, value)
            yield metric

    def _samples(self) -> Samples:
        start = time.monotonic()
        samples = read_disks(self._settings) | read_models(self._settings)
        try:
            samples |= read_store(self._settings, datetime.now(UTC))
        except AncError as err:
            if self.store_error != str(err):  # once, not with every scrape
                _log.warning("the store does not answer: %s", err)
            self.store_error = str(err)
            samples[f.STORE_UP.name, ()] = 0.0
        else:
            self.store_error = None
            file = self._settings.home.expanduser().absolute() / FLOOR_FILE
            samples = raised(samples, file, _name_of(self._settings))
        samples[f.COLLECTION_S.name, ()] = time.monotonic() - start
        return samples


def registry_of(collector: InstallationCollector) -> CollectorRegistry:
    """Return a registry with nothing else in it."""
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def _metric(family: Family) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return kind(family.name, family.help, labels=family.labels)


def _name_of(settings: Settings) -> str:
    """Return the store's name, without its password."""
    return parse_url(settings.resolved_database_url).render_as_string()
