"""What is known of a trained network before anybody uses it."""

from __future__ import annotations

from anc_core.records import Record


class Scores(Record):
    """Mean improvements over the unprocessed mixtures; None where a package is missing."""

    pesq: float | None = None
    estoi: float | None = None
    si_sdr_db: float | None = None
    dnsmos_ovrl: float | None = None
    harmed_share: float | None = None
    num_mixtures: int = 0


class Evaluation(Record):
    """Candidate, classical engine and model in use on the same held-out mixtures."""

    candidate: Scores
    spectral: Scores
    active: Scores | None = None
    active_model_id: str | None = None

    @property
    def is_better(self) -> bool:
        """Whether the candidate should take the place of what is in use.

        It must gain more PESQ (SI-SDR where PESQ can't be measured) and harm no more mixtures (one
        in fifty is within chance) than the model in use, or than the classical engine without one.
        """
        rival = self.active or self.spectral
        candidate = self.candidate
        if candidate.pesq is not None and rival.pesq is not None:
            gains_more = candidate.pesq > rival.pesq
        else:
            gains_more = (candidate.si_sdr_db or 0.0) > (rival.si_sdr_db or 0.0)
        harm = (candidate.harmed_share or 0.0) - (rival.harmed_share or 0.0)
        return gains_more and harm <= 0.02
