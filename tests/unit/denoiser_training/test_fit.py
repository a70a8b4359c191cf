"""Training learns, survives being killed, and what is exported is what was trained."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'train')")
pytest.importorskip("onnx", reason="onnx is not installed (extra 'train')")

from anc_core.denoiser_training.fit import (  # noqa: E402
    finished_steps,
    load_checkpoint,
    read_config,
    train,
    write_config,
)
from anc_core.denoiser_training.network import GainNetwork  # noqa: E402
from anc_core.denoiser_training.packaging import exported_model  # noqa: E402
from anc_core.denoiser_training.parameters import (  # noqa: E402
    MixingParameters,
    NetworkParameters,
    TrainingParameters,
)
from anc_core.denoiser_training.preparation import prepare_run  # noqa: E402
from anc_core.denoiser_training.targets import examples  # noqa: E402
from anc_core.errors import InputError  # noqa: E402

TINY = TrainingParameters(
    num_steps=12,
    batch_size=2,
    num_processes=1,
    warmup_steps=2,
    num_synthetic=6,
    synthetic_s=2.0,
    validate_every=4,
    checkpoint_every=2,
    num_validation=8,
    network=NetworkParameters(num_channels=8, bottleneck=16, hidden=16, decoder_channels=8),
    mixing=MixingParameters(clip_s=1.024),
)


def prepared(folder, rows, root, parameters=TINY):
    prepare_run(folder, rows, root, "digest", parameters, lambda _: None)
    return folder


def weights(folder):
    return {k: v.numpy() for k, v in load_checkpoint(folder / "checkpoint.pt")["ema"].items()}


@pytest.fixture(scope="module")
def trained(rows, recordings, tmp_path_factory):
    folder = prepared(tmp_path_factory.mktemp("run"), rows, recordings)
    lines = []
    train(folder, lines.append)
    return folder, lines


def test_training_reports_and_ends_at_the_last_step(trained):
    folder, lines = trained
    assert finished_steps(folder) == TINY.num_steps
    losses = {line["step"]: line["validation_loss"] for line in lines if "validation_loss" in line}
    assert list(losses) == [4, 8, 12]
    assert losses[12] < losses[4]


def test_a_finished_training_is_not_done_again(trained):
    folder, _ = trained
    before = weights(folder)
    train(folder, lambda line: pytest.fail(f"trained on: {line}"))
    for name, value in weights(folder).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.long
def test_two_processes_train_one_network(rows, recordings, tmp_path):
    parameters = replace(TINY, num_processes=2, num_steps=2)
    folder = prepared(tmp_path, rows, recordings, parameters)
    train(folder, lambda _: None)
    assert finished_steps(folder) == 2


@pytest.mark.long
def test_killed_and_resumed_gives_the_same_network(trained, rows, recordings, tmp_path):
    folder = prepared(tmp_path, rows, recordings)
    code = (
        "import sys; from pathlib import Path\n"
        "from anc_core.denoiser_training.fit import train\n"
        "if __name__ == '__main__': train(Path(sys.argv[1]), lambda line: None)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (folder / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)  # the parent: its workers must end by themselves
    process.wait()
    steps = finished_steps(folder)
    assert 0 < steps <= TINY.num_steps
    train(folder, lambda _: None)
    expected = weights(trained[0])
    for name, value in weights(folder).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_another_training_in_the_same_folder_is_refused(trained):
    folder, _ = trained
    with pytest.raises(InputError, match="another data_digest"):
        write_config(folder, TINY, "other digest")
    with pytest.raises(InputError, match="seed 1, not 2"):
        write_config(folder, replace(TINY, seed=2), "digest")


@pytest.mark.long
def test_more_steps_are_the_same_training(rows, recordings, tmp_path):
    folder = prepared(tmp_path, rows, recordings, replace(TINY, num_steps=2))
    train(folder, lambda _: None)
    write_config(folder, replace(TINY, num_steps=4), "digest")
    train(folder, lambda _: None)
    assert finished_steps(folder) == 4
    assert json.loads((folder / "config.json").read_text())["parameters"]["num_steps"] == 4


def test_parameters_survive_json(trained):
    assert read_config(trained[0]) == TINY


def test_the_exported_graph_gives_the_gains_of_the_network(trained):
    content, model = exported_model(trained[0], model_id="tiny")
    assert content == exported_model(trained[0], model_id="tiny")[0]
    assert model.gains(np.ones((2, 1, 256), np.float32)).shape == (1, 256)


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path}/pwned",))

    torch.save({"step": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(Exception, match=r"[Uu]nsupported|weights_only"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "pwned").exists()


def test_learning_rate_rises_stays_and_falls_to_nothing():
    parameters = TrainingParameters(num_steps=1_000, warmup_steps=100, decay_share=0.4)
    rates = [parameters.learning_rate_at(step) for step in range(1_001)]
    assert rates[0] == pytest.approx(parameters.learning_rate / 100)
    assert rates[100] == rates[600] == parameters.learning_rate
    assert rates[800] == pytest.approx(parameters.learning_rate / 2)
    assert rates[1_000] == pytest.approx(0.0, abs=1e-9)


def test_the_network_starts_by_letting_pass():
    torch.manual_seed(1)
    gains = GainNetwork(NetworkParameters())(torch.zeros(1, 2, 5, 256)).detach()
    assert gains.shape == (1, 5, 256)
    assert float(gains.min()) > 0.6
    assert float(gains.max()) <= 1.02


def test_targets_ask_for_the_clean_magnitude_where_the_phase_is_right(rng):
    clean = rng.normal(0, 0.1, (1, 16_384)).astype(np.float32)
    zero = np.zeros(1, np.float32)
    _, magnitudes, targets = examples(2.0 * clean, clean, level_gain_db=zero)
    np.testing.assert_allclose(targets, magnitudes * 0.5**0.3, rtol=1e-3, atol=1e-4)


def test_targets_ask_for_less_where_the_phase_is_wrong(rng):
    clean = rng.normal(0, 0.1, (1, 16_384)).astype(np.float32)
    zero = np.zeros(1, np.float32)
    _, magnitudes, targets = examples(-clean, clean, level_gain_db=zero)
    np.testing.assert_allclose(targets, 0.4 * magnitudes, rtol=1e-3, atol=1e-4)
