"""Makes ttests.json: the paired t test and Welch's, with their 95 % intervals, by SciPy.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install scipy==1.17.1 numpy==2.4.6
    /tmp/venv/bin/python testdata/ttests.py > testdata/ttests.json
"""
import json

import numpy as np
import scipy
from scipy import stats

random = np.random.default_rng(0)
cases = []
for n, m, shift, scale in [(3, 3, 0.0, 1.0), (3, 3, 2.0, 1.0), (3, 2, 1.0, 4.0), (2, 2, 0.5, 1.0), (5, 5, 1.0, 0.1), (10, 4, 0.5, 3.0)]:
    a, b = random.normal(20 + shift, 1, n), random.normal(20, scale, m)
    case = dict(a=a.tolist(), b=b.tolist())
    tests = dict(welch=stats.ttest_ind(a, b, equal_var=False))
    if n == m:
        tests["paired"] = stats.ttest_rel(a, b)
    for name, test in tests.items():
        interval = test.confidence_interval(0.95)
        case[name] = dict(p=test.pvalue, low=interval.low, high=interval.high)
    cases.append(case)
print(json.dumps(dict(scipy=scipy.__version__, cases=cases)))
