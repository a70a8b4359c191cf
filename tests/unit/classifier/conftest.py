from __future__ import annotations

import pytest

from anc_core.bundles.bundle import Bundle
from anc_core.classifier.model import load_noise_model
from anc_core.classifier.stream import NoiseClassifier
from tests.noise_bundles import make_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def classifier(bundle: Bundle) -> NoiseClassifier:
    return NoiseClassifier(load_noise_model(bundle))
