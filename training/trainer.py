"""Trains an adapter. What comes out follows from the settings alone, however often the run was interrupted."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from training import compute, model, optimizer
from training.base_model import BaseModel, tokens_of
from training.batches import Batch, batches_from, make_batch, plain_order
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from training.lower_layers import Prepared
from training.model import LayerAdapter
from training.progress import Progress
from training.task import Task

CHECKPOINT_SECONDS = 60

Figures = dict[str, float]
"""Accuracies on a split, by name."""


class Trainer:
    """One task, one base model, one seed."""

    def __init__(self, base: BaseModel, task: Task, seed: int, report: Callable[[str], None]) -> None:
        self.base, self.task, self.seed, self.report = base, task, seed, report
        self.settings = task.hyperparameters
        self.first_layer = base.architecture.layers - self.settings.layers
        self.scale = self.settings.alpha / self.settings.rank
        self.upper = base.weights.layers[self.first_layer :]

    def beginning(self) -> Checkpoint:
        """Before the first step."""
        keys = jax.random.split(jax.random.key(self.seed), len(self.upper))
        rank = self.settings.rank
        adapters = [model.new_adapter(key, layer, rank) for key, layer in zip(keys, self.upper, strict=True)]
        return Checkpoint(optimizer.start(adapters), step=0, cpu_seconds=0.0, examined=[])

    def train(self, train: Prepared, validation: Prepared, path: Path, *, stop_after: int | None = None) -> Checkpoint:
        """Goes on from the checkpoint at `path`, if there is one, to the last step, or to step `stop_after`.

        After each pass over the data, and at the end, validation is examined.
        """
        per_epoch = -(-len(train.sequences) // self.settings.batch)
        steps = round(per_epoch * self.settings.epochs)
        state = load_checkpoint(path, self.beginning(), self.first_layer)
        if state.step:
            self.report(f'{self.task.name}, seed {self.seed}: goes on after step {state.step} of {steps}')
        cpu_before = state.cpu_seconds - time.process_time()
        progress = Progress(f'{self.task.name}, seed {self.seed}', steps, self.report, done=state.step)
        order = batches_from(train.lengths, self.settings.batch, self.seed, state.step)
        saved = time.monotonic()
        try:
            while state.step < min(steps, stop_after or steps):
                rate = optimizer.learning_rate(
                    state.step, steps, self.settings.learning_rate, self.settings.warmup_steps
                )
                loss, training = self.step(state, train, next(order), rate)
                # One assignment: an interruption finds the state before the step or after it.
                state = replace(
                    state, training=training, step=state.step + 1, cpu_seconds=cpu_before + time.process_time()
                )
                progress.advance(1, f'loss {loss:.3f}')
                if state.step % per_epoch == 0 or state.step == steps:
                    state = replace(state, examined=[*state.examined, self.examine(state, validation)])
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    save_checkpoint(path, state, self.first_layer)
                    saved = time.monotonic()
        finally:
            save_checkpoint(path, state, self.first_layer)
        return state

    def step(
        self, state: Checkpoint, train: Prepared, rows: np.ndarray, rate: float
    ) -> tuple[float, optimizer.Training]:
        """The batch's mean loss over its target tokens, and the state after a step along its gradient."""
        batch = make_batch(train.sequences, rows, self.settings.batch)
        hidden = lay(train, batch, self.base.architecture.width)

        def loss_of(adapters: list[LayerAdapter]) -> Array:
            output = compute.run_layers(self.base, self.upper, hidden, adapters, self.scale, batch.positions)
            return compute.cross_entropy(self.base, output, batch.targets, batch.weights)

        loss, gradients = jax.value_and_grad(loss_of)(state.training.adapters)
        return float(loss), optimizer.update(state.training, gradients, jnp.float32(rate), jnp.float32(state.step))

    def examine(self, state: Checkpoint, prepared: Prepared) -> Figures:
        """The figures of a split at a step, also reported."""
        figures = self.evaluate(prepared, state.training.adapters)
        shares = [f'{name} {figures[name]:.1%}' for name in ('exact', 'labels', 'groups') if name in figures]
        words = ', '.join([*shares, f'nll {figures["nll"]:.3f}'])
        self.report(f'{self.task.name}, seed {self.seed}: step {state.step} on validation: {words}')
        return {'step': state.step, **figures}

    def evaluate(self, prepared: Prepared, adapters: list[LayerAdapter]) -> Figures:
        """Accuracy on a split, in full precision and without an engine.

        `exact` is the share of examples whose every target token is the most probable one, which is what an engine
        that decodes greedily answers. For a classification, `labels` is that among the task's targets alone, and
        `groups` is the accuracy of the group with the greatest sum of probabilities. `nll` is the targets' mean
        negative log-likelihood a token, in nats.
        """
        batch_size = self.settings.batch * 2
        exact, nll, labels, groups = 0, 0.0, 0, 0
        group_of = self.task.groups or {}
        tokens = np.array([tokens_of(self.base.tokenizer, target)[0] for target in group_of], np.int32)
        names = sorted(set(group_of.values()))
        belongs = np.array([[group == name for name in names] for group in group_of.values()], np.float32)
        for rows in plain_order(prepared.lengths, batch_size):
            batch = make_batch(prepared.sequences, rows, batch_size)
            hidden = lay(prepared, batch, self.base.architecture.width)
            output = compute.run_layers(self.base, self.upper, hidden, adapters, self.scale, batch.positions)
            best, surprise, chosen = compute.judge(self.base, output, batch.targets, tokens)
            right = (np.asarray(best) == batch.targets) | (batch.weights == 0)
            exact += int(np.all(right, axis=1)[: len(rows)].sum())
            nll += float((np.asarray(surprise) * batch.weights).sum())
            if group_of:
                truth = np.array([np.flatnonzero(tokens == target)[0] for target in batch.targets[: len(rows), 0]])
                probabilities = np.asarray(chosen)[: len(rows), 0]
                labels += int((probabilities.argmax(axis=1) == truth).sum())
                groups += int(((probabilities @ belongs).argmax(axis=1) == belongs[truth].argmax(axis=1)).sum())
        total, target_tokens = len(prepared.sequences), sum(map(len, prepared.sequences.targets))
        figures: Figures = {'examples': total, 'exact': exact / total, 'nll': nll / target_tokens}
        return figures | ({'labels': labels / total, 'groups': groups / total} if group_of else {})


def lay(prepared: Prepared, batch: Batch, width: int) -> Array:
    """The adapted layers' input for a batch: [batch, tokens, width]."""
    hidden = np.zeros((len(batch.targets), batch.length, width), np.float32)
    for at, row in enumerate(batch.rows):
        output = prepared.output_of(row)
        hidden[at, : len(output)] = output
    return jnp.asarray(hidden)
