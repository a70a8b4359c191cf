"""Settings, read once at the edge (flows, command line) and handed down as values.

Sources, strongest first: arguments, environment, ``.env`` in the working directory. Every name
begins with ``ANC_``; the predecessor's ``AUDIO_SAMPLE_RATE``, ``AUDIO_CHUNK_SIZE``,
``ML_MODEL_PATH`` and ``ML_SCALER_PATH`` keep working.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from anc_core.errors import SettingsError
from anc_core.logs import LogStyle
from anc_core.remote.address import Place

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ENV_PREFIX = "ANC_"
CHUNK_LIMITS_S = (0.5, 5.0)
"""Shortest and longest chunk; the same as of every request (``anc_core.audio.chunks``)."""

_DOTENV = ".env"
_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+")
_PORT = re.compile(r"\d{1,5}(/|$)")

# Read outside this class: by the tests and by the packaging, never by the algorithms.
_RESERVED = frozenset({"ANC_TEST_DATA", "ANC_TEST_DATABASE_URL"})


class Settings(BaseSettings):
    """All that an installation may set. Sizes in bytes, times in seconds, rates in Hz."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=_DOTENV,
        extra="ignore",  # .env may hold other programs' names; our own are checked in load()
        frozen=True,
        populate_by_name=True,
        env_ignore_empty=True,  # ANC_HOME= in a container's file means: not set
        use_attribute_docstrings=True,
    )

    home: Path = Field(default_factory=lambda: Path.home() / ".anc")
    """Folder of the default database and of everything else this installation keeps."""
    database_url: str | None = Field(default=None, repr=False)  # it may hold a password
    """SQLAlchemy URL; by default the SQLite file ``anc.db`` in ``home``."""
    sample_rate: int = Field(
        default=16_000,
        ge=1_000,
        le=768_000,
        validation_alias=AliasChoices("ANC_SAMPLE_RATE", "AUDIO_SAMPLE_RATE"),
    )
    """Analysis rate; processing and output keep the recording's own."""
    chunk_size: int = Field(
        default=16_000,
        ge=1,
        validation_alias=AliasChoices("ANC_CHUNK_SIZE", "AUDIO_CHUNK_SIZE"),
    )
    """Samples a chunk at ``sample_rate``; scaled with the recording's rate."""
    ml_model_path: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("ANC_ML_MODEL_PATH", "ML_MODEL_PATH"),
    )
    """Classifier to load instead of the bundled one."""
    ml_scaler_path: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("ANC_ML_SCALER_PATH", "ML_SCALER_PATH"),
    )
    """Feature scaler that belongs to ``ml_model_path``."""
    name_noises: bool = True
    """Whether the classifier listens. Without it a session has no names, and takes less time."""
    workers: int = Field(default=0, ge=0, le=1_024)
    """Worker processes of a batch; 0 = as many as this process may use cores."""
    dask_scheduler: str | None = None
    """Scheduler of a Dask cluster (``tcp://host:8786``) whose workers do the shards of a batch."""
    shard_s: float = Field(default=15.0, ge=0.1, le=3_600)
    """Work that one shard of a batch holds, in estimated CPU seconds."""
    max_duration_s: float = Field(default=7 * 86_400.0, gt=0)
    """Longest recording that is accepted (TOO_LONG)."""
    max_source_bytes: int = Field(default=1 << 40, gt=0)
    """Largest file that is accepted (TOO_LONG)."""
    max_attempts: int = Field(default=3, ge=1, le=100)
    """How often a recording whose worker dies is tried before it counts as failed."""
    retries: int = Field(default=3, ge=0, le=20)
    """How often a flow retries a transient error."""
    retry_delay_s: float = Field(default=1.0, ge=0, le=3_600)
    """First delay before a retry; doubles each time, with jitter."""
    heartbeat_s: float = Field(default=5.0, gt=0, le=3_600)
    """How often a running session says that it is alive."""
    stale_after_s: float = Field(default=120.0, gt=0)
    """A session on another host is taken for dead after this long without a heartbeat."""
    allowed_roots: Annotated[tuple[Place, ...], NoDecode] = ()
    """If set (separated by the system's path separator), no file outside is read or written; nor
    any object, but below a root that is a URL."""
    spool_dir: Path | None = None
    """Folder on a disk of this machine for recordings of buckets that are in work; by default
    ``spool`` in ``home``."""
    alert_webhook_url: SecretStr | None = Field(default=None, repr=False)  # may hold a token
    """Where every emergency event is posted (http or https); without it none is."""
    alert_webhook_secret: SecretStr | None = Field(default=None, repr=False)
    """Key of the signature; without it nothing is posted."""
    alert_cooldown_s: float = Field(default=0.0, ge=0, le=86_400)
    """After a delivered alert the same sound at the same place is suppressed for so long."""
    alert_timeout_s: float = Field(default=10.0, gt=0, le=300)
    """How long the receiver may take to answer."""
    alert_retry_for_s: float = Field(default=6 * 3_600.0, ge=0, le=6 * 3_600)
    """How long the flow goes on trying while the receiver is away, ever more patiently."""
    alert_max_age_s: float = Field(default=86_400.0, ge=60, le=30 * 86_400)
    """Events of sessions that finished longer ago are not posted any more."""
    schedules_expected: bool = False
    """Schedules run here: ``anc health`` then calls a missing server, worker or job a fault."""
    report_webhook_url: SecretStr | None = None  # services put a token into it
    """Where a report is posted as JSON (http or https); its ``text`` is what chat services show."""
    report_webhook_secret: SecretStr | None = Field(default=None, repr=False)
    """Key of the signature of posted reports; without it they are posted unsigned."""
    report_smtp_url: SecretStr | None = None
    """``smtp://USER:PASSWORD@HOST:587`` (STARTTLS) or ``smtps://...``; else no mail."""
    report_mail_from: str | None = None
    """Sender of mailed reports."""
    report_mail_to: Annotated[tuple[str, ...], NoDecode] = ()
    """Receivers of mailed reports, separated by commas."""
    log_json: bool = False
    """Write log lines as JSON."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$")

    @field_validator("allowed_roots", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        return _split_places(value) if isinstance(value, str) else value

    @field_validator("report_mail_to", mode="before")
    @classmethod
    def _split_receivers(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("chunk_size")
    @classmethod
    def _within_limits(cls, value: int, info: ValidationInfo) -> int:
        rate = info.data.get("sample_rate", 0)
        low, high = (round(seconds * rate) for seconds in CHUNK_LIMITS_S)
        if rate and not low <= value <= high:
            msg = f"must be 0.5 s to 5 s, {low} to {high} samples at sample_rate {rate} Hz"
            raise ValueError(msg)
        return value

    @field_validator("alert_webhook_url")
    @classmethod
    def _is_web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                msg = "must be http://HOST/... or https://HOST/..."
                raise ValueError(msg)
        return value

    @field_validator("stale_after_s")
    @classmethod
    def _outlasts_heartbeat(cls, value: float, info: ValidationInfo) -> float:
        heartbeat_s = info.data.get("heartbeat_s", 0.0)
        if value <= heartbeat_s:
            msg = f"must be longer than heartbeat_s ({heartbeat_s:g} s), or live sessions look dead"
            raise ValueError(msg)
        return value

    @classmethod
    def load(cls, **overrides: Any) -> Settings:  # noqa: ANN401 - as above
        """Read the environment once.

        Parameters
        ----------
        **overrides
            Values that win over the environment; ``None`` = not given.

        Raises
        ------
        SettingsError
            If an ``ANC_*`` name or an override is unknown (the message suggests the nearest) or a
            value is out of range.
        """
        _check_dotenv(Path(_DOTENV))
        present = (*os.environ, *dotenv_values(_DOTENV))
        ours = {name.upper() for name in present if name.upper().startswith(ENV_PREFIX)}
        _refuse_unknown(ours, known_names())
        _refuse_unknown(overrides, cls.model_fields)
        try:
            return cls(**{name: value for name, value in overrides.items() if value is not None})
        except ValidationError as err:
            raise SettingsError(_describe(err)) from err

    @property
    def resolved_database_url(self) -> str:
        """``database_url``, or the SQLite file in ``home``."""
        return self.database_url or f"sqlite:///{(self.home / 'anc.db').expanduser().absolute()}"

    @property
    def log_style(self) -> LogStyle:
        """How this installation's log lines look, and what must not stand in them."""
        secret = (
            self.alert_webhook_url,
            self.alert_webhook_secret,
            self.report_webhook_url,
            self.report_smtp_url,
        )
        secrets = [one.get_secret_value() for one in secret if one is not None]
        with_password = [self.database_url or "", *secrets]
        secrets += [part for url in with_password for part in _passwords(url)]
        return LogStyle(
            as_json=self.log_json, level=self.log_level, secrets=tuple(dict.fromkeys(secrets))
        )

    @property
    def models_dir(self) -> Path:
        """Folder of the models that this installation trained or imported."""
        return (self.home / "models").expanduser().absolute()

    @property
    def spool(self) -> Path:
        """``spool_dir``, or its place in ``home``."""
        return (self.spool_dir or self.home / "spool").expanduser().absolute()

    @property
    def reports_dir(self) -> Path:
        """Folder of the reports, where a call names no other."""
        return (self.home / "reports").expanduser().absolute()

    @property
    def chunk_s(self) -> float:
        """Length of a chunk in seconds, the same at every rate."""
        return self.chunk_size / self.sample_rate


def known_names() -> frozenset[str]:
    """Return every ``ANC_*`` variable that has a meaning."""
    return _RESERVED | {ENV_PREFIX + name.upper() for name in Settings.model_fields}


def _split_places(text: str) -> tuple[str, ...]:
    """Split at the system's separator, which on most systems is also a part of every URL."""
    places: list[str] = []
    for part in text.split(os.pathsep):
        before = places[-1] if places else ""
        begins = part.startswith("//") and _PROTOCOL.fullmatch(before) is not None
        has_port = "://" in before and _PORT.match(part) is not None
        if begins or has_port:
            places[-1] = f"{before}:{part}"
        else:
            places.append(part)
    return tuple(place for place in places if place)


def _passwords(url: str) -> tuple[str, ...]:
    """Return the password of an address, as it stands there and as it is typed."""
    try:
        password = urlsplit(url).password
    except ValueError:  # no address; who opens it says so
        return ()
    return () if not password else (password, unquote(password))


def _check_dotenv(path: Path) -> None:
    """Refuse a ``.env`` that is no text: the libraries that read it would not say which file."""
    if not path.is_file():
        return
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError as err:
        msg = (
            f"{path.absolute()}: is no UTF-8 text ({err.reason} at byte {err.start}); save it anew"
        )
        raise SettingsError(msg) from err
    except OSError as err:
        msg = f"{path.absolute()}: cannot be read ({err.strerror}); check its permissions"
        raise SettingsError(msg) from err


def _refuse_unknown(given: Collection[str], known: Collection[str]) -> None:
    """pydantic-settings ignores misspelt variables: a typing error must not pass in silence."""
    hints = []
    for name in sorted(set(given) - set(known)):
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
        hints.append(f"{name} is unknown" + (f"; did you mean {near[0]}?" if near else ""))
    if hints:
        raise SettingsError(". ".join(hints) + f". Known: {', '.join(sorted(known))}")


def _describe(err: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']} (given: {_shown(e)})"
        for e in err.errors()
    )


def _shown(error: ErrorDetails) -> str:
    """Return the value as a message may show it: what is secret stays so, right or wrong."""
    is_secret = any(word in str(error["loc"][0]).lower() for word in ("url", "secret", "smtp"))
    return "hidden" if is_secret else repr(error["input"])
