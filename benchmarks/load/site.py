"""A place of its own for one case: a folder, a store, perhaps a Prefect server."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import meter
from benchmarks.load.meter import Usage
from benchmarks.servers import postgres_server, prefect_server

STORES = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a case runs."""

    folder: Path
    database_url: str
    environment: dict[str, str] = field(default_factory=dict)

    def anc(self, *words: str | Path, name: str = "anc", niceness: int = 0) -> Usage:
        """Run ``anc`` here; its words on standard error end up in ``NAME.log``."""
        return meter.run(
            [str(word) for word in words],
            self.environment,
            log=self.folder / f"{name}.log",
            niceness=niceness,
        )

    def batch(
        self,
        inputs: Path,
        *options: str,
        name: str = "batch",
        log: str | None = None,
        niceness: int = 0,
    ) -> tuple[dict[str, Any], Usage]:
        """Run a batch into the folder ``out-NAME``; return its summary and what it took."""
        words = ("batch", inputs, "-o", self.output(name), "-q", "--json", *options)
        usage = self.anc(*words, name=log or name, niceness=niceness)
        if usage.exit_code:
            msg = f"anc batch ended with {usage.exit_code}:\n{usage.stderr[-4000:]}"
            raise RuntimeError(msg)
        return json.loads(usage.stdout), usage

    def output(self, name: str) -> Path:
        """Return where the batch of that name puts its outputs."""
        return self.folder / f"out-{name}"


@contextmanager
def site(store: str, *, parent: Path | None, with_prefect: bool = False) -> Iterator[Site]:
    """Yield a place with an empty store of the kind ``store``; nothing of it is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="anc-load-", dir=parent))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if store == "sqlite":
            url = f"sqlite:///{folder / 'anc.db'}"
        else:
            url = stack.enter_context(postgres_server(folder))
        environment = {"ANC_DATABASE_URL": url, "ANC_HOME": str(folder / "home")}
        if with_prefect:
            environment["PREFECT_API_URL"] = stack.enter_context(prefect_server(folder))[0]
            environment["PREFECT_LOGGING_LEVEL"] = "WARNING"
        yield Site(folder, url, environment)
