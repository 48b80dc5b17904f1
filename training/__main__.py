"""Trains the adapter of a task and writes it as the engines read it.

`python -m training --task ticket-triage --seed 1 --base MODEL.gguf --runs FOLDER` goes on where an earlier run with the
same settings was interrupted. It tells on standard error how far it is, and at its end on standard output, as JSON,
where everything lies.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from training.run import Run, environment, file_digest, load_task, make_run
from training.task import Split


def main() -> int:
    """The command. Exit code 130 says that it was interrupted and can go on."""
    parser = argparse.ArgumentParser(prog='python -m training')
    parser.add_argument('--task', default='ticket-triage')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--base', type=Path, required=True, help='the base model, a GGUF file')
    parser.add_argument('--runs', type=Path, required=True, help='where runs have their folders')
    arguments = parser.parse_args()
    # Compiled programs are worth keeping: a run that goes on, or has another seed, starts at once.
    os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(arguments.runs / 'compiled'))
    os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.1')
    run = make_run(load_task(arguments.task), arguments.seed, arguments.base)
    folder = arguments.runs / run.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if not (folder / 'run.json').exists():
            train_and_export(run, folder)
    except KeyboardInterrupt:
        say(f'interrupted: what was done is kept in {folder}')
        return 130
    print(json.dumps({'folder': str(folder), 'adapter': str(folder / 'adapter.gguf')}))
    return 0


def train_and_export(run: Run, folder: Path) -> None:
    """Fills a run's folder; `run.json` comes last and says that it is complete."""
    # Importing JAX takes a second, which a finished run needs not.
    from training.base_model import read_base_model
    from training.checkpoint import named
    from training.export import write_gguf, write_peft
    from training.lower_layers import Prepared, prepare
    from training.trainer import Trainer

    base = read_base_model(run.base)
    trainer = Trainer(base, run.task, run.seed, say)

    def prepared(split: Split) -> Prepared:
        examples = [example for example in run.task.examples() if example.split == split]
        return prepare(
            base, run.base_sha256, examples, trainer.first_layer, folder.parent, f'{run.task.name}, {split}', say
        )

    done = trainer.train(prepared('train'), prepared('validation'), folder / 'checkpoint.safetensors')
    tensors = named(done.training.adapters, trainer.first_layer)
    settings, architecture = run.task.hyperparameters, base.architecture
    write_gguf(folder / 'adapter.gguf', tensors, f'{run.task.name}, seed {run.seed}', settings)
    heads = {'attn_q': architecture.heads, 'attn_k': architecture.kv_heads}
    write_peft(folder / 'peft', tensors, settings, heads)
    report = {
        **run.settings,
        'steps': done.step,
        'parameters': sum(array.size for array in tensors.values()),
        'cpuSeconds': round(done.cpu_seconds),
        # In full precision and without an engine; only the last line matters, for no epoch is chosen by it.
        'validation': done.examined,
        'environment': environment(),
        'adapter': {'sha256': file_digest(folder / 'adapter.gguf')},
    }
    (folder / 'run.tmp').write_text(json.dumps(report, indent=2) + '\n')
    (folder / 'run.tmp').replace(folder / 'run.json')
    (folder / 'checkpoint.safetensors').unlink()


def say(line: str) -> None:
    """Tells the person who waits."""
    print(line, file=sys.stderr, flush=True)


if __name__ == '__main__':
    sys.exit(main())
