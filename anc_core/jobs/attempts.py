"""How often, and how patiently, what may pass is tried again where Prefect does not do it."""

from __future__ import annotations

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from anc_core.errors import TransientError
from anc_core.settings import Settings

_MAX_DELAY_S = 60.0


def attempts(settings: Settings) -> Retrying:
    """Return what calls a function, or repeats a block, until no transient error is raised.

    Parameters
    ----------
    settings : Settings
        ``retries``, and ``retry_delay_s`` before the first one; each waits twice as long as the one
        before, up to a minute, and up to ``retry_delay_s`` more at random.
    """
    return Retrying(
        retry=retry_if_exception_type(TransientError),
        stop=stop_after_attempt(settings.retries + 1),
        wait=wait_exponential(multiplier=settings.retry_delay_s, max=_MAX_DELAY_S)
        + wait_random(0.0, settings.retry_delay_s),
        reraise=True,
    )
