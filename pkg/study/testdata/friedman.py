"""Makes friedman.json: Friedman's test and quantiles of the studentised range by SciPy.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install scipy==1.17.1 numpy==2.4.6
    /tmp/venv/bin/python testdata/friedman.py > testdata/friedman.json
"""
import json

import numpy as np
from scipy import stats

random = np.random.default_rng(0)
cases = []
for n, k, levels in [(5, 3, 0), (15, 6, 0), (15, 27, 0), (12, 5, 3), (30, 4, 2)]:
    x = random.normal(size=(n, k)) + 0.3 * np.arange(k)
    if levels:  # few values: many ties
        x = np.round(x * levels / 3)
    statistic, p = stats.friedmanchisquare(*x.T)
    cases.append(dict(ranks=stats.rankdata(x, axis=1).tolist(), chi_squared=statistic, p=p))
quantiles = {k: stats.studentized_range.ppf(0.95, k, np.inf) for k in [2, 3, 4, 5, 10, 20, 27, 40]}
print(json.dumps(dict(cases=cases, quantiles=quantiles)))
