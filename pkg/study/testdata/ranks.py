"""Makes ranks.json: rank correlations and areas under ROC curves by SciPy, with and without ties.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install scipy==1.17.1 numpy==2.4.6
    /tmp/venv/bin/python testdata/ranks.py > testdata/ranks.json
"""
import json

import numpy as np
from scipy import stats

random = np.random.default_rng(0)
cases = []
for n, levels in [(5, 0), (12, 0), (30, 0), (12, 4), (30, 3), (40, 10)]:
    x = random.normal(size=n)
    y = 0.5 * x + random.normal(size=n)
    if levels:  # few values: many ties
        x, y = np.round(x * levels / 3), np.round(y * levels / 3)
    u = stats.mannwhitneyu(x, y).statistic
    cases.append(dict(x=x.tolist(), y=y.tolist(), ranks=stats.rankdata(x).tolist(), spearman=stats.spearmanr(x, y).statistic,
                      kendall=stats.kendalltau(x, y, variant="b").statistic, auroc=u / n**2))
print(json.dumps(cases))
