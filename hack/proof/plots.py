"""Draws what `make proof` measured: `python plots.py FIGURES.json FOLDER` writes SVG files into the folder.

A white background, so that they can be read on light and dark pages; the same figures give the same bytes.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use('svg')
matplotlib.rcParams.update(
    {
        'svg.hashsalt': 'cadre',
        # Text stays text: a fifth of the size of outlines, and it can be searched.
        'svg.fonttype': 'none',
        'font.sans-serif': ['DejaVu Sans', 'Verdana', 'Arial', 'sans-serif'],
        'font.size': 10,
        'axes.titlesize': 11,
        'axes.titleweight': 'bold',
        'axes.titlelocation': 'left',
        'axes.spines.top': False,
        'axes.spines.right': False,
        'axes.grid': True,
        'grid.color': '#e4e4e4',
        'axes.axisbelow': True,
        'figure.facecolor': 'white',
        'legend.frameon': False,
    }
)
import matplotlib.pyplot as plt  # noqa: E402 - after the settings
from matplotlib.ticker import PercentFormatter  # noqa: E402

# Okabe and Ito's colours, which people who cannot tell red from green can tell apart.
COLOURS = {
    'specialist': '#0072b2',
    'together': '#009e73',
    'yardstick': '#e69f00',
    'base': '#cc79a7',
    'general': '#d55e00',
    'untrained': '#888888',
}
QUESTIONS = {'queues': 'queues', 'intents': 'intents'}


def colour(contender: dict) -> str:
    return COLOURS.get(contender['key'], '#444444')


def save(figure, folder: Path, name: str) -> None:
    figure.savefig(folder / f'{name}.svg', metadata={'Date': None, 'Creator': None}, bbox_inches='tight', pad_inches=0.15)
    plt.close(figure)


def of(figures: dict, question: str) -> list[dict]:
    return [contender for contender in figures['contenders'] if contender['question'] == question]


def accuracy(figures: dict, folder: Path) -> None:
    sizes = [len(of(figures, question)) for question in QUESTIONS]
    figure, panels = plt.subplots(2, 1, figsize=(8, 1.6 + 0.42 * sum(sizes)), height_ratios=sizes, sharex=True)
    for panel, question in zip(panels, QUESTIONS, strict=True):
        contenders = of(figures, question)[::-1]
        for row, contender in enumerate(contenders):
            share = contender['accuracy']
            ends = [[share['value'] - share['low']], [share['high'] - share['value']]]
            panel.errorbar(share['value'], row, xerr=ends, fmt='o', color=colour(contender), capsize=3, markersize=6)
            left = share['high'] > 0.85
            text = f'{share["value"]:.1%}'
            where = share['low'] - 0.012 if left else share['high'] + 0.012
            panel.text(where, row, text, va='center', ha='right' if left else 'left')
        panel.set_yticks(range(len(contenders)), [contender['name'] for contender in contenders])
        panel.set_ylim(-0.6, len(contenders) - 0.4)
        panel.grid(axis='y', visible=False)
        panel.set_title(f'{figures["labels"][question]} {QUESTIONS[question]}')
    panels[-1].set_xlim(0, 1)
    panels[-1].xaxis.set_major_formatter(PercentFormatter(1))
    panels[-1].set_xlabel('right answers on held-out messages, with 95% interval')
    figure.tight_layout()
    save(figure, folder, 'accuracy')


def reliability(figures: dict, folder: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True)
    specialists = [contender for contender in figures['contenders'] if contender['key'] == 'specialist']
    titles = {'raw': 'As the model says it', 'tempered': 'After the temperature'}
    looks = {'intents': ('o', '#0072b2'), 'queues': ('s', '#e69f00')}
    for panel, (kind, title) in zip(panels, titles.items(), strict=True):
        panel.plot([0, 1], [0, 1], color='#888888', linewidth=1, linestyle='--', label='calibrated')
        for contender in specialists:
            bins = [one for one in contender['reliability'][kind] if one['count'] >= 5]
            marker, shade = looks[contender['question']]
            low = [one['accuracy'] - one['interval']['low'] for one in bins]
            high = [one['interval']['high'] - one['accuracy'] for one in bins]
            error = contender['calibrationError'][kind]
            temperature = f', T = {contender["temperature"]:.2f}' if kind == 'tempered' else ''
            panel.errorbar(
                [one['confidence'] for one in bins],
                [one['accuracy'] for one in bins],
                yerr=[low, high],
                fmt=marker,
                color=shade,
                capsize=2,
                markersize=5,
                label=f'{contender["question"]}: ECE {error:.1%}{temperature}',
            )
        panel.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel='confidence', title=title, aspect='equal')
        panel.xaxis.set_major_formatter(PercentFormatter(1))
        panel.yaxis.set_major_formatter(PercentFormatter(1))
        panel.legend(loc='lower right')
    panels[0].set_ylabel('right answers, with 95% interval')
    figure.tight_layout()
    save(figure, folder, 'reliability')


def risk_coverage(figures: dict, folder: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2))
    contenders = of(figures, 'queues')
    good = [one for one in contenders if one['accuracy']['value'] > 0.8]
    for panel, shown, title in zip(panels, (contenders, good), ('All', 'The better ones, closer'), strict=True):
        for contender in shown:
            panel.plot(
                [percent / 100 for percent in range(1, 101)],
                contender['riskByPercent'],
                color=colour(contender),
                label=contender['name'],
                linewidth=1.8,
            )
        panel.set_xlim(0, 1)
        panel.set_ylim(bottom=0)
        panel.xaxis.set_major_formatter(PercentFormatter(1))
        panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if shown is contenders else 1))
        panel.set(xlabel='coverage: the most confident share of the messages', title=title)
        panel.legend(loc='upper left')
    panels[0].set_ylim(0, 1)
    panels[0].set_ylabel('risk: wrong answers among them')
    panels[1].axhline(0.01, color='#888888', linewidth=1, linestyle='--')
    figure.tight_layout()
    save(figure, folder, 'risk-coverage')


def hybrid(figures: dict, folder: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2))
    shades = {0.88: '#d55e00', 0.95: '#0072b2'}
    for panel, question in zip(panels, QUESTIONS, strict=True):
        [specialist] = [one for one in of(figures, question) if one['key'] == 'specialist']
        alone = specialist['accuracy']['value']
        panel.axhline(alone, color='#888888', linewidth=1, linestyle='--', label=f'specialist alone: {alone:.1%}')
        for one in specialist['hybrid']:
            assumed, best = one['assumedAccuracy'], one['best']
            panel.plot(
                [percent / 100 for percent in range(101)],
                one['accuracyByPercent'],
                color=shades.get(assumed, '#444444'),
                linewidth=1.8,
                label=f'the rest right in {assumed:.0%} (assumed): best {best["accuracy"]:.1%} at {best["escalated"]:.0%}',
            )
            panel.plot(best['escalated'], best['accuracy'], 'o', color=shades.get(assumed, '#444444'))
        panel.set_xlim(0, 1)
        panel.xaxis.set_major_formatter(PercentFormatter(1))
        panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panel.set(xlabel='escalated share, least confident first', title=f'{figures["labels"][question]} {question}')
        panel.set_ylim(0.86, 1.025)
        panel.set_yticks([0.86, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98, 1])
        panel.legend(loc='upper right', fontsize=9)
    panels[0].set_ylabel('right answers over all messages')
    figure.tight_layout()
    save(figure, folder, 'hybrid')


def main(source: Path, folder: Path) -> None:
    figures = json.loads(source.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (accuracy, reliability, risk_coverage, hybrid):
        draw(figures, folder)


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]))
