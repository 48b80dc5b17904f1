"""The yardstick that a specialist has to be measured by: TF-IDF and logistic regression, on the same splits.

It reads lines of JSON with `text`, `label` and `split`, learns from `train` alone, chooses its one free number on
`validation`, and writes the probabilities that it gives to every label for both other splits:

    python -m training.yardstick EXAMPLES.jsonl PREDICTIONS.json
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline

INVERSE_REGULARISATION = (10.0, 30.0, 100.0, 300.0)
"""Values of C, scikit-learn's inverse strength of regularisation, among which validation chooses."""

ITERATIONS = 300


def features() -> FeatureUnion:
    """Words with their neighbours, and pieces of words, which forgive typing errors."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32)
    pieces = TfidfVectorizer(analyzer='char_wb', ngram_range=(2, 5), sublinear_tf=True, min_df=2, dtype=np.float32)
    return FeatureUnion([('words', words), ('pieces', pieces)])


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(source: Path, target: Path) -> None:
    examples = [json.loads(line) for line in source.read_text().splitlines()]
    texts = {split: [e['text'] for e in examples if e['split'] == split] for split in ('train', 'validation', 'test')}
    truths = {split: np.array([e['label'] for e in examples if e['split'] == split]) for split in texts}
    began = time.process_time()
    vectorizer = features()
    learnt = vectorizer.fit_transform(texts['train'])
    known = vectorizer.transform(texts['validation'])
    # Each C goes on from the one before: less to do, and the same result.
    model = LogisticRegression(warm_start=True, tol=1e-5, max_iter=ITERATIONS)
    tried, best = [], None
    for c in INVERSE_REGULARISATION:
        model.C = c
        with warnings.catch_warnings():
            # The last decimals of the coefficients change no answer.
            warnings.simplefilter('ignore', ConvergenceWarning)
            model.fit(learnt, truths['train'])
        score = float(model.score(known, truths['validation']))
        tried.append({'c': c, 'validationAccuracy': score})
        say(f'C = {c:g}: {score:.1%} of validation right after {time.process_time() - began:.0f} CPU seconds')
        if best is None or score > best[0]:
            best = (score, c, model.coef_.copy(), model.intercept_.copy())
    _, chosen, model.coef_, model.intercept_ = best
    seconds = time.process_time() - began

    pipeline = make_pipeline(vectorizer, model)
    probabilities, milliseconds = {}, []
    for split in ('validation', 'test'):
        rows = []
        for text in texts[split]:
            start = time.perf_counter()
            rows.append(pipeline.predict_proba([text])[0])
            milliseconds.append(1000 * (time.perf_counter() - start))
        probabilities[split] = [[round(float(p), 9) for p in row] for row in rows]
    result = {
        'labels': model.classes_.tolist(),
        'c': chosen,
        'tried': tried,
        'trainingCpuSeconds': seconds,
        'medianMilliseconds': float(np.median(milliseconds)),
        'parameters': int(model.coef_.size + model.intercept_.size),
        'scikitLearn': sklearn.__version__,
        'probabilities': probabilities,
    }
    target.write_text(json.dumps(result))


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]))
