"""When a number is unlike those that it is compared with: median and MAD.

The rule is the modified z-score of Iglewicz and Hoaglin, "How to Detect and Handle Outliers"
(ASQC 1993): 0.6745 (x - median) / MAD, an outlier beyond 3.5 either way. Neither the median nor the
median absolute deviation (MAD) moves when up to half of the past is itself unusual. Where the past
hardly varies, MAD is next to nothing and every second would count: so a deviation must also be half
of the median, and more than what anybody would look into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LEAST_POINTS = 4
"""Fewer weeks are no history."""
_LIMIT, _TO_SIGMA = 3.5, 0.6745
_LEAST_SHARE = 0.5


@dataclass(frozen=True)
class Verdict:
    """What a number was compared with."""

    is_anomaly: bool
    median: float
    deviation: float
    points: int


def judge(observed: float, past: Sequence[float], least: float = 0.0) -> Verdict:
    """Compare a number with those of the past, of the same hour or day of a week.

    least: a smaller difference never counts, in the unit of the numbers. Since a MAD of numbers
    that are not negative never exceeds their median, ten times the median is always unlike them.
    """
    if len(past) < LEAST_POINTS:
        return Verdict(False, median(past) if past else 0.0, 0.0, len(past))
    middle = median(past)
    deviation = median(abs(one - middle) for one in past)
    difference = abs(observed - middle)
    bound = max(_LIMIT * deviation / _TO_SIGMA, _LEAST_SHARE * middle, least)
    return Verdict(difference > bound, middle, deviation, len(past))
