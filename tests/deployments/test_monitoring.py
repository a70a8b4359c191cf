"""Alert rules and dashboard name metrics and labels that are exposed, and pages that exist."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from anc_core.monitoring.families import FAMILIES
from deployments import machine
from tests.architecture.test_documents import anchors
from tests.receiver import free_port

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments" / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
LABELS = {family.name: set(family.labels) for family in FAMILIES}


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    yield from (target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])


@pytest.mark.parametrize("expression", list(expressions()))
def test_what_is_named_is_exposed(expression: str) -> None:
    named = re.findall(r"\b(anc_\w+)(?:\{([^}]*)\})?", expression)
    assert named
    for name, matchers in named:
        assert name in LABELS
        assert set(re.findall(r"(\w+)=", matchers)) <= LABELS[name]


def test_a_legend_names_a_label() -> None:
    legends = [t["legendFormat"] for panel in DASHBOARD["panels"] for t in panel["targets"]]
    named = {label for legend in legends for label in re.findall(r"\{\{(\w+)\}\}", legend)}
    assert named <= set().union(*LABELS.values())


def test_every_rule_leads_to_its_page_of_the_runbook() -> None:
    known = anchors((ROOT / "docs" / "operations.md").read_text())
    for rule in RULES:
        page, anchor = rule["annotations"]["runbook"].split("#")
        assert page == "docs/operations.md"
        assert anchor in known, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("end", ["its parent is gone", "it is asked to"])
def test_the_endpoint_of_anc_serve_answers_and_ends(
    end: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANC_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    port = free_port()
    child = machine._start("deployments.metrics_endpoint", "127.0.0.1", str(port))
    assert child.stdin is not None
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                assert child.poll() is None
                time.sleep(0.05)
        assert "anc_store_up 0.0" in answer.text  # there is none, and none is made
        assert not (tmp_path / "anc.db").exists()
        if end == "it is asked to":
            os.kill(child.pid, signal.SIGTERM)
        else:
            child.stdin.close()
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
