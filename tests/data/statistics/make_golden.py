#!/usr/bin/env python3
"""Writes paired.json: differences of losses and what scipy, statsmodels and arch say about them.

    python3 -m venv VENV
    VENV/bin/pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 arch==8.0.0
    VENV/bin/python tests/data/statistics/make_golden.py
"""

import json
import pathlib

import numpy as np
import statsmodels.api as sm
from arch.bootstrap import IIDBootstrap
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import normal_sample_size_one_tail

BLOCK = 64


def blocks_of(runs):
    """A list of (differences, number) of blocks that end where a run ends."""
    return [run[i : i + BLOCK] for run in runs for i in range(0, len(run), BLOCK)]


def series(rng, lengths, mean):
    """Autocorrelated, heavy-tailed differences, rounded so that they are exact in the file."""
    runs = []
    for n in lengths:
        noise = rng.standard_t(3, n) * 0.05
        for i in range(1, n):
            noise[i] += 0.5 * noise[i - 1]
        runs.append(np.round(noise + mean, 4))
    return runs


def answers(runs, weights, exact):
    """weights: one a run, of each of its tokens."""
    delta = np.concatenate(runs)
    blocks = blocks_of(runs)
    weight = np.concatenate([np.full(len(r), w) for r, w in zip(runs, weights)])
    groups = np.concatenate([np.full(len(b), i) for i, b in enumerate(blocks)])
    fit = sm.WLS(delta, np.ones_like(delta), weights=weight).fit(
        cov_type="cluster", cov_kwds={"groups": groups}
    )
    by_block = [weight[groups == i][0] for i in range(len(blocks))]
    sums = np.array([w * b.sum() for w, b in zip(by_block, blocks)])
    counts = np.array([w * len(b) for w, b in zip(by_block, blocks)])
    test = stats.permutation_test(
        (sums,),
        np.sum,
        permutation_type="samples",
        vectorized=not exact,
        n_resamples=np.inf if exact else 400_000,
        batch=1000,
        rng=np.random.default_rng(1),
    )

    def mean(s, n):
        return np.array([s.sum() / n.sum()])

    def error(_, s, n):
        m, g = s.sum() / n.sum(), len(s)
        return np.array([np.sqrt(g / (g - 1) * ((s - m * n) ** 2).sum()) / n.sum()])

    def interval(size):
        bootstrap = IIDBootstrap(sums, counts, seed=np.random.default_rng(2))
        ends = bootstrap.conf_int(
            mean, reps=100_000, method="studentized", std_err_func=error, size=size
        )
        return [float(ends[0][0]), float(ends[1][0])]

    return {
        "weights": list(weights),
        "tokens": len(delta),
        "blocks": len(blocks),
        "delta_nll": float(fit.params[0]),
        "standard_error": float(fit.bse[0]),
        "worse_share": float((weight * (delta > 0)).sum() / weight.sum()),
        "p_value": float(test.pvalue),
        "interval": interval(0.95),
        "narrow_interval": interval(0.90),
    }


def main():
    rng = np.random.default_rng(20260101)
    many = series(rng, [232] * 10, 0.004)
    few = series(rng, [200, 150, 30], 0.02)
    two_texts = [1.0 / 1160] * 5 + [1.0 / 580] * 5
    p_values = [0.012, 0.2, 0.0003, 0.04, 0.013, 0.9, 0.04]
    kl = np.round(rng.gamma(0.3, 0.02, 1001), 6)
    shares = [0.5, 0.9, 0.95, 0.99, 0.999]

    def size(gap, alpha):
        return float(normal_sample_size_one_tail(gap, 0.8, alpha, std_null=0.3))

    golden = {
        "many": {"runs": [r.tolist() for r in many], "plain": answers(many, [1.0] * 10, False),
                 "macro": answers(many, two_texts, False)},
        "few": {"runs": [r.tolist() for r in few], "plain": answers(few, [1.0] * 3, True)},
        "holm": {"p_values": p_values,
                 "adjusted": multipletests(p_values, method="holm")[1].tolist()},
        "sample_size": {"token_deviation": 0.3, "gap": 0.004,
                        "difference": size(0.004, 0.025), "equivalence": size(0.004, 0.05)},
        "percentiles": {"values": kl.tolist(), "shares": shares,
                        "answers": np.quantile(kl, shares).tolist()},
    }
    path = pathlib.Path(__file__).with_name("paired.json")
    path.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
