"""What is wrong with an installation, and the cure: one question a line, none stops the others."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from anc_core.errors import AncError, ModelBundleError
from anc_core.records import Record
from anc_core.settings import Settings

Verdict = Literal["ok", "warning", "error"]

_RANK: dict[Verdict, int] = {"ok": 0, "warning": 1, "error": 2}
_FEW_BYTES, _TOO_FEW_BYTES = 5 << 30, 1 << 30
_CLOCK_TOLERANCE_S = 5.0
_PATIENCE_S = 5.0
_PACKAGE = "anc-platform"
_FIRST_YEAR = 2026
"""This program is not older; a clock that says so is wrong."""

_TRAPS = (
    ("fastapi", "0.151", "Prefect's server can't start", "pip install 'fastapi>=0.139,<0.151'"),
    ("sqlalchemy", "2.1", "no schedule ever starts a run", "pip install 'sqlalchemy>=2.0.36,<2.1'"),
)
"""Package, first version that harms, what happens, cure; Prefect itself allows them."""


class Answer(Record):
    """One line of the doctor's."""

    name: str
    verdict: Verdict
    finding: str
    cure: str | None = None


class Diagnosis(Record):
    """All that the doctor found."""

    verdict: Verdict
    answers: tuple[Answer, ...]

    @property
    def exit_code(self) -> int:
        """0 all well, 1 something to mend, 2 something does not work."""
        return _RANK[self.verdict]


def examine(port: int = 4200) -> Diagnosis:
    """Ask every question; nothing is changed.

    Parameters
    ----------
    port : int
        Of ``anc serve``.
    """
    answers = [*_of_python(), *_of_packages(), *_asked("settings", Settings.load, _of_settings)]
    settings = _settings_or_none()
    if settings is not None:
        for name, question in _questions(port).items():
            answers += _asked(name, lambda: settings, question)
    answers += _of_clock()
    worst = max((a.verdict for a in answers), key=lambda verdict: _RANK[verdict])
    return Diagnosis(verdict=worst, answers=tuple(answers))


Question = Callable[[Settings], Iterator[Answer]]


def _questions(port: int) -> dict[str, Question]:
    return {
        "home": _of_home,
        "database": _of_database,
        "classifier": _of_classifier,
        "suppressor": _of_suppressor,
        "codecs": _of_codecs,
        "disk": _of_disk,
        "alerts": _of_alerts,
        "server": lambda settings: _of_server(settings, port),
    }


def _asked(name: str, source: Callable[[], Settings], question: Question) -> list[Answer]:
    """Return the answers; an error that nobody foresaw is one."""
    try:
        return list(question(source()))
    except AncError as err:
        return [Answer(name=name, verdict="error", finding=str(err))]
    except Exception as err:  # noqa: BLE001 - the other questions must be asked all the same
        return [Answer(name=name, verdict="error", finding=f"{type(err).__name__}: {err}")]


def _settings_or_none() -> Settings | None:
    try:
        return Settings.load()
    except AncError:
        return None


# --------------------------------------------------------------------------- the program


def _of_python() -> Iterator[Answer]:
    from packaging.specifiers import SpecifierSet

    found = ".".join(map(str, sys.version_info[:3]))
    wanted = metadata.metadata(_PACKAGE)["Requires-Python"]
    if SpecifierSet(wanted).contains(found):
        yield Answer(name="python", verdict="ok", finding=f"{found}, {sys.executable}")
    else:
        cure = f"make the environment with Python {wanted}"
        yield Answer(name="python", verdict="error", finding=found, cure=cure)


def _of_packages() -> Iterator[Answer]:
    """Compare what is installed with what this version asks for, and with the pinned versions."""
    from packaging.requirements import Requirement

    wrong, total = [], 0
    for text in metadata.requires(_PACKAGE) or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        total += 1
        found = _version(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement} (found: {found or 'nothing'})")
    if wrong:
        yield Answer(
            name="packages",
            verdict="error",
            finding="; ".join(wrong),
            cure=f"pip install {' '.join(repr(one.split(' (')[0]) for one in wrong)}",
        )
    else:
        yield Answer(
            name="packages", verdict="ok", finding=f"{total} requirements, each as asked for"
        )
    yield from _of_pins()
    yield from _of_traps()


def _of_pins() -> Iterator[Answer]:
    """Compare with ``constraints.txt``, where the program lies in its checkout."""
    from packaging.version import Version

    pins = Path(__file__).parents[1] / "constraints.txt"
    if not pins.is_file():
        return
    pairs = (line.split("==") for line in pins.read_text(encoding="utf-8").splitlines() if line)
    other = [
        f"{name} {found} (tested: {pinned})"
        for name, pinned in pairs
        if (found := _version(name)) is not None and Version(found).public != pinned
    ]
    if other:
        yield Answer(
            name="constraints",
            verdict="warning",
            finding=f"{len(other)} packages are not of the tested version: {', '.join(other[:5])}",
            cure=f"pip install -c {pins} --upgrade -e {pins.parent}",
        )
    else:
        yield Answer(name="constraints", verdict="ok", finding="every version is a tested one")


def _of_traps() -> Iterator[Answer]:
    """Look for versions that Prefect allows and that break its server all the same."""
    from packaging.version import Version

    for name, first_bad, harm, cure in _TRAPS:
        found = _version(name)
        if found is not None and Version(found) >= Version(first_bad):
            yield Answer(
                name=name, verdict="error", finding=f"with {name} {found} {harm}", cure=cure
            )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


# --------------------------------------------------------------------------- the installation


def _of_settings(settings: Settings) -> Iterator[Answer]:
    yield Answer(name="settings", verdict="ok", finding=f"ANC_HOME is {settings.home}")


def _of_home(settings: Settings) -> Iterator[Answer]:
    home = settings.home.expanduser().absolute()
    place = home
    while not place.exists():
        place = place.parent
    if os.access(place, os.W_OK | os.X_OK) and place.is_dir():
        yield Answer(name="home", verdict="ok", finding=f"{home} can be written")
    else:
        yield Answer(
            name="home",
            verdict="error",
            finding=f"{place} cannot be written",
            cure="set ANC_HOME to a folder of yours",
        )


def _of_database(settings: Settings) -> Iterator[Answer]:
    from anc_core.errors import SchemaError, StoreError
    from anc_core.store import open_database
    from anc_core.store.engine import parse_url, sqlite_file

    url = settings.resolved_database_url
    file = sqlite_file(parse_url(url))
    if file is not None and not file.exists():
        yield Answer(
            name="database", verdict="ok", finding=f"{file}: none yet, the first run creates it"
        )
        return
    try:
        database = open_database(url, migrate=False)
    except SchemaError as err:
        yield Answer(name="database", verdict="error", finding=str(err), cure="anc db upgrade")
        return
    except (StoreError, AncError) as err:
        cure = "start it, or correct ANC_DATABASE_URL"
        yield Answer(name="database", verdict="error", finding=str(err), cure=cure)
        return
    try:
        _write_and_undo(database)
    except StoreError as err:
        cure = f"let the user who runs anc write {file or 'the database'}"
        yield Answer(name="database", verdict="error", finding=str(err), cure=cure)
    else:
        where = database.display_url
        yield Answer(name="database", verdict="ok", finding=f"{where}: current and writable")
    finally:
        database.dispose()


class _UndoError(Exception):
    """Ends a transaction without a trace."""


def _write_and_undo(database: Any) -> None:  # noqa: ANN401 - Database, loaded late
    from anc_core.store import record_audit

    try:
        with database.begin() as db:
            record_audit(db, "doctor", "database", {}, "anc doctor")
            raise _UndoError
    except _UndoError:
        pass


def _of_classifier(settings: Settings) -> Iterator[Answer]:
    from anc_core.classifier.models import find_classifier
    from anc_core.classifier.validation import validate_bundle

    try:
        bundle = find_classifier(
            settings.models_dir, model=settings.ml_model_path, scaler=settings.ml_scaler_path
        )
    except ModelBundleError as err:
        cure = "anc model rollback, or correct ML_MODEL_PATH"
        yield Answer(name="classifier", verdict="error", finding=str(err), cure=cure)
        return
    if bundle is None:
        yield Answer(
            name="classifier",
            verdict="ok",
            finding="none is in use: noises stay without a name",
            cure="if they should have one: anc train FOLDER",
        )
        return
    result = validate_bundle(lambda: bundle)
    wrong = "; ".join(f"{check.name}: {check.message}" for check in result.checks if not check.ok)
    if result.valid:
        yield Answer(
            name="classifier", verdict="ok", finding=f"{result.model_id} answers as it did"
        )
    else:
        yield Answer(name="classifier", verdict="error", finding=wrong, cure="anc model rollback")


def _of_suppressor(settings: Settings) -> Iterator[Answer]:
    from anc_core.denoiser.inference import load_gain_model
    from anc_core.denoiser.models import find_bundle

    try:
        bundle = find_bundle(settings.models_dir)
        load_gain_model(bundle)
    except ModelBundleError as err:
        yield Answer(
            name="suppressor",
            verdict="warning",
            finding=f"the neural engine is not available, the spectral one is: {err}",
            cure="anc model rollback --kind suppressor, or install the package anew",
        )
    else:
        yield Answer(name="suppressor", verdict="ok", finding=f"{bundle.model_id} loads")


def _of_codecs(_settings: Settings) -> Iterator[Answer]:
    import soundfile

    formats = set(soundfile.available_formats())
    missing = sorted({"WAV", "RF64", "W64", "FLAC", "OGG", "AIFF", "MP3"} - formats)
    if missing:
        yield Answer(
            name="codecs",
            verdict="warning",
            finding=f"libsndfile cannot read {', '.join(missing)}",
            cure="pip install --upgrade soundfile",
        )
    if _version("av") is None:
        yield Answer(
            name="codecs",
            verdict="warning",
            finding="M4A, AAC, WMA and the sound of videos cannot be read",
            cure=f"pip install '{_PACKAGE}[codecs]'",
        )
    elif not missing:
        version = f"libsndfile {soundfile.__libsndfile_version__}, PyAV {_version('av')}"
        yield Answer(name="codecs", verdict="ok", finding=version)


def _of_disk(settings: Settings) -> Iterator[Answer]:
    place = settings.home.expanduser().absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    finding = f"{free / (1 << 30):.1f} GiB free at {place}"
    cure = "anc cleanup, or set ANC_HOME to a larger disk"
    if free < _FEW_BYTES:
        verdict: Verdict = "error" if free < _TOO_FEW_BYTES else "warning"
        yield Answer(name="disk", verdict=verdict, finding=finding, cure=cure)
    else:
        yield Answer(name="disk", verdict="ok", finding=finding)


def _of_alerts(settings: Settings) -> Iterator[Answer]:
    if settings.alert_webhook_url is None:
        finding = "no webhook: emergencies are recorded, nobody is told"
        yield Answer(name="alerts", verdict="ok", finding=finding)
    elif settings.alert_webhook_secret is None:
        yield Answer(
            name="alerts",
            verdict="error",
            finding="there is a webhook but no key: nothing is sent",
            cure="set ANC_ALERT_WEBHOOK_SECRET, then: anc alert test",
        )
    else:
        finding = "webhook and key are set; try them with: anc alert test"
        yield Answer(name="alerts", verdict="ok", finding=finding)


# --------------------------------------------------------------------------- the server


def _of_server(settings: Settings, port: int) -> Iterator[Answer]:
    from flows.standing_server import standing_server

    running = standing_server(settings)
    api_url = os.environ.get("PREFECT_API_URL") or (running.api_url if running else None)
    if api_url is None:
        yield from _of_port(port)
        finding = "none runs; each flow starts one for itself"
        yield Answer(name="server", verdict="ok", finding=finding)
    else:
        yield from _of_api(api_url)


def _of_port(port: int) -> Iterator[Answer]:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError as err:
            yield Answer(
                name="port",
                verdict="warning",
                finding=f"{port} is taken ({err.strerror})",
                cure="anc serve --port OTHER",
            )
        else:
            yield Answer(name="port", verdict="ok", finding=f"{port} is free for anc serve")


def _of_api(api_url: str) -> Iterator[Answer]:
    import httpx

    try:
        health = httpx.get(f"{api_url}/health", timeout=_PATIENCE_S)
        health.raise_for_status()
    except httpx.HTTPError as err:
        yield Answer(
            name="server",
            verdict="error",
            finding=f"{api_url} does not answer: {type(err).__name__}",
            cure="anc serve, or correct PREFECT_API_URL",
        )
        return
    yield Answer(name="server", verdict="ok", finding=f"{api_url} answers")
    yield from _of_pages(api_url)
    yield from _of_server_clock(health.headers.get("date"))


def _of_pages(api_url: str) -> Iterator[Answer]:
    """Ask whether the pages will look for the API where it is, not at port 4200."""
    import httpx

    base = api_url.removesuffix("/api")
    try:
        told = httpx.get(f"{base}/ui-settings", timeout=_PATIENCE_S).json()["api_url"]
    except (httpx.HTTPError, ValueError, KeyError):
        yield Answer(name="pages", verdict="warning", finding="this server has no pages")
        return
    if httpx.URL(told).port == httpx.URL(api_url).port:
        yield Answer(name="pages", verdict="ok", finding=base)
    else:
        yield Answer(
            name="pages",
            verdict="error",
            finding=f"the pages look for the API at {told}",
            cure="start the server with anc serve, or set PREFECT_SERVER_UI_API_URL for it",
        )


def _of_server_clock(date: str | None) -> Iterator[Answer]:
    if date is None:
        return
    off_s = abs(time.time() - parsedate_to_datetime(date).timestamp())
    if off_s > _CLOCK_TOLERANCE_S:
        yield Answer(
            name="server clock",
            verdict="warning",
            finding=f"it is {off_s:.0f} s off this machine's",
            cure="let both follow NTP",
        )


def _of_clock() -> Iterator[Answer]:
    now = datetime.now(UTC)
    local = now.astimezone()
    finding = f"{now:%Y-%m-%d %H:%M:%S} UTC, here {local:%H:%M} {local.tzname()} ({local:%z})"
    if now.year < _FIRST_YEAR:
        yield Answer(name="clock", verdict="error", finding=finding, cure="set the clock")
    else:
        yield Answer(name="clock", verdict="ok", finding=f"{finding}; schedules are UTC")
