"""The training loop: one process a core, gradients averaged, resumable to the step.

A run lives in a folder: ``config.json`` (what is trained), the pools, ``checkpoint.pt`` (replaced
atomically), ``log.jsonl`` (one line every so many steps). Whoever starts it again in the same
folder goes on where the last checkpoint was taken, with the same mixtures.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from anc_core.denoiser.features import FEATURE_SCHEMA
from anc_core.denoiser_training.mixing import Mixer
from anc_core.denoiser_training.network import GainNetwork
from anc_core.denoiser_training.parameters import TrainingParameters
from anc_core.denoiser_training.pools import open_pool
from anc_core.denoiser_training.targets import examples
from anc_core.errors import InputError
from anc_core.files import atomic_path, write_text_atomic

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
CONFIG = "config.json"
_VALIDATION_SEED = 990_001
_LEVEL_GAIN_DB = 3.0
_POLL_S = 0.5


def write_config(run_dir: Path, parameters: TrainingParameters, data_digest: str) -> None:
    """Pin what is trained in ``run_dir``; a second call must mean the same.

    More or fewer steps are allowed: the plateau of the learning rate has no length of its own.

    Raises
    ------
    InputError
        If the folder holds another training.
    """
    config: dict[str, Any] = {
        "parameters": parameters.as_dict(),
        "data_digest": data_digest,
        "feature_schema": FEATURE_SCHEMA,
    }
    path = run_dir / CONFIG
    if path.exists():
        before = json.loads(path.read_text())
        for key in ("data_digest", "feature_schema"):
            if before[key] != config[key]:
                msg = f"{run_dir}: holds a training with another {key}; choose another folder"
                raise InputError(msg)
        for key, value in before["parameters"].items():
            if key != "num_steps" and config["parameters"].get(key) != value:
                msg = (
                    f"{run_dir}: holds a training with {key} {value}, not "
                    f"{config['parameters'].get(key)}; choose another folder"
                )
                raise InputError(msg)
    write_text_atomic(path, json.dumps(config, indent=2) + "\n")


def read_config(run_dir: Path) -> TrainingParameters:
    """Return the parameters of the training in ``run_dir``."""
    config = json.loads((run_dir / CONFIG).read_text())
    return TrainingParameters.from_dict(config["parameters"])


def train(run_dir: Path, report: Callable[[dict[str, Any]], None]) -> None:
    """Train to the last step, from the last checkpoint if there is one.

    Parameters
    ----------
    run_dir : Path
        With its config and its pools.
    report : callable
        Gets every line of the log as it is written.

    Notes
    -----
    The workers watch their parent and end with it, however it ends.
    """
    parameters = read_config(run_dir)
    if finished_steps(run_dir) >= parameters.num_steps:
        return
    meeting = run_dir / "meeting"  # where the processes find each other; no port is opened
    meeting.unlink(missing_ok=True)
    context = spawn(  # type: ignore[no-untyped-call]
        _worker, (str(run_dir), os.getpid()), nprocs=parameters.num_processes, join=False
    )
    seen = _num_lines(run_dir / LOG)
    try:
        while not context.join(timeout=_POLL_S):
            seen = _report_new(run_dir / LOG, seen, report)
    finally:
        for process in context.processes:
            process.kill()
        meeting.unlink(missing_ok=True)
    _report_new(run_dir / LOG, seen, report)


def finished_steps(run_dir: Path) -> int:
    """Return how many steps the checkpoint in ``run_dir`` has behind it; 0 without one."""
    path = run_dir / CHECKPOINT
    return int(load_checkpoint(path)["step"]) if path.exists() else 0


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint: tensors and numbers only, nothing in it is executed."""
    checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return checkpoint


def trained_network(run_dir: Path) -> GainNetwork:
    """Return the network with the averaged weights of the last checkpoint."""
    network = GainNetwork(read_config(run_dir).network)
    network.load_state_dict(load_checkpoint(run_dir / CHECKPOINT)["ema"])
    return network.eval()


def batch_loss(network: GainNetwork, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return the mean squared error of the compressed magnitudes (see ``targets``)."""
    seen, magnitudes, targets = batch
    return torch.mean(torch.square(network(seen) * magnitudes - targets))


class _Trainer:
    """One process's share of a training."""

    def __init__(self, run_dir: Path, rank: int) -> None:
        self.parameters = p = read_config(run_dir)
        self.run_dir, self.rank = run_dir, rank
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(p.seed)
        self.network = GainNetwork(p.network).to(self.device)
        self.weights = list(self.network.parameters())
        self.optimizer = torch.optim.AdamW(
            self.weights, lr=p.learning_rate, weight_decay=p.weight_decay, betas=(0.9, 0.99)
        )
        self.average = [weight.detach().clone() for weight in self.weights]
        self.step = 0
        self.mixer = self._mixer("train", p.seed)
        self._resume()

    def run(self, parent: int) -> None:
        p = self.parameters
        validation = self._validation_set() if self.rank == 0 else []
        losses, started = [], time.monotonic()
        while self.step < p.num_steps:
            if os.getppid() != parent:  # nobody waits for the result any more
                os._exit(1)
            losses.append(self._train_step())
            self.step += 1
            is_last = self.step == p.num_steps
            if self.rank == 0 and (self.step % p.validate_every == 0 or is_last):
                line = {"step": self.step, "validation_loss": self._validate(validation)}
                self._log(line)
            if self.rank == 0 and (self.step % p.checkpoint_every == 0 or is_last):
                self._save()
                elapsed_s = time.monotonic() - started
                self._log(
                    {
                        "step": self.step,
                        "train_loss": float(np.mean(losses)),
                        "step_s": elapsed_s / len(losses),
                    }
                )
                losses, started = [], time.monotonic()

    def _train_step(self) -> float:
        p = self.parameters
        batch = self._batch(self.mixer, self.step, self.rank, p.batch_size)
        loss = batch_loss(self.network, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._average_gradients()
        torch.nn.utils.clip_grad_norm_(self.weights, p.max_gradient_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = p.learning_rate_at(self.step)
        self.optimizer.step()
        # Early on the mean reaches back less far.
        decay = min(p.ema_decay, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(self.average, [w.detach() for w in self.weights], 1.0 - decay)
        return float(loss.detach())

    def _average_gradients(self) -> None:
        if self.parameters.num_processes == 1:
            return
        gradients = [weight.grad for weight in self.weights if weight.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.parameters.num_processes
        for gradient, part in zip(
            gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def _batch(
        self, mixer: Mixer, step: int, rank: int, size: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        noisy, clean = mixer.batch(step, rank, size)
        rng = np.random.default_rng([self.parameters.seed, 5, step, rank])
        gain_db = rng.normal(0.0, _LEVEL_GAIN_DB, size).astype(np.float32)
        arrays = examples(noisy, clean, level_gain_db=gain_db)
        seen, magnitudes, targets = (torch.from_numpy(a).to(self.device) for a in arrays)
        return seen, magnitudes, targets

    def _validation_set(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        mixer = self._mixer("validation", _VALIDATION_SEED)
        return [self._batch(mixer, i, 0, 8) for i in range(self.parameters.num_validation // 8)]

    def _validate(self, batches: list[tuple[Tensor, Tensor, Tensor]]) -> float:
        current = [weight.detach().clone() for weight in self.weights]
        with torch.no_grad():
            torch._foreach_copy_([w.data for w in self.weights], self.average)
            loss = float(np.mean([float(batch_loss(self.network, b)) for b in batches]))
            torch._foreach_copy_([w.data for w in self.weights], current)
        return loss

    def _mixer(self, split: str, seed: int) -> Mixer:
        pools = [
            open_pool(self.run_dir, f"{kind}-{split}") for kind in ("speech", "noise", "synthetic")
        ]
        return Mixer(pools[0], pools[1], pools[2], self.parameters.mixing, seed=seed)

    def _resume(self) -> None:
        path = self.run_dir / CHECKPOINT
        if not path.exists():
            return
        checkpoint = load_checkpoint(path)
        self.network.load_state_dict(checkpoint["network"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        names = [name for name, _ in self.network.named_parameters()]
        self.average = [checkpoint["ema"][name].to(self.device) for name in names]
        self.step = int(checkpoint["step"])

    def _save(self) -> None:
        names = [name for name, _ in self.network.named_parameters()]
        checkpoint = {
            "step": self.step,
            "network": self.network.state_dict(),
            "ema": dict(zip(names, self.average, strict=True)),
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_path(self.run_dir / CHECKPOINT, token="checkpoint") as part:  # noqa: S106
            torch.save(checkpoint, part)

    def _log(self, line: dict[str, Any]) -> None:
        line["learning_rate"] = self.parameters.learning_rate_at(self.step)
        with (self.run_dir / LOG).open("a") as file:
            file.write(json.dumps(line) + "\n")


def _worker(rank: int, run_dir: str, parent: int) -> None:
    """Run in a process of its own, one thread each: threads wait for each other, processes less."""
    parameters = read_config(Path(run_dir))
    torch.set_num_threads(1)
    if parameters.num_processes > 1:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{Path(run_dir).absolute()}/meeting",
            rank=rank,
            world_size=parameters.num_processes,
        )
    try:
        _Trainer(Path(run_dir), rank).run(parent)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _num_lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def _report_new(path: Path, seen: int, report: Callable[[dict[str, Any]], None]) -> int:
    if not path.exists():
        return seen
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    for line in lines[seen:]:
        report(json.loads(line))
    return len(lines)
