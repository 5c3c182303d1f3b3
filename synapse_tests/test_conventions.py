"""The checks of bouncer_checks/ can fail: each is shown what to accept and what to refuse."""

from __future__ import annotations

import pytest

from bouncer_checks.manifest.model_conventions import has_header
from bouncer_checks.manifest.rule_coverage import built_rules, is_sentence, proven_rules

HEADER = """{# Grain: one row per user,
   deleted ones included.
   Keys: user_id.
   Incremental: none.
   Rules: R2. #}
select 1
"""


def test_header_with_the_four_labels_is_accepted() -> None:
    assert has_header(HEADER)


@pytest.mark.parametrize("label", ["Grain", "Keys", "Incremental", "Rules"])
def test_header_that_lacks_a_label_is_refused(label: str) -> None:
    assert not has_header(HEADER.replace(f"{label}:", "Note:"))


@pytest.mark.parametrize(
    "code",
    [
        "select 1\n" + HEADER,
        HEADER.replace("{#", "--").replace("#}", ""),
        HEADER.replace("Rules: R2. #}", "Rules: #}"),
        "{# Grain: x. #}\n{# Keys: y.\nIncremental: z.\nRules: w. #}",
    ],
    ids=["not at the top", "no Jinja comment", "label without text", "split in two comments"],
)
def test_header_elsewhere_or_empty_is_refused(code: str) -> None:
    assert not has_header(code)


def test_rules_are_headings_and_planned_ones_need_no_test_yet() -> None:
    text = "# Rules\n## R1 Date\nText R9.\n## R7 Churn\n**Planned** for later.\n### R12 Errors\n"
    assert built_rules(text) == {1, 12}


def test_rule_number_is_read_from_the_name_of_a_unit_test() -> None:
    names = ["r6_rpt_retention__immature_rows_are_flagged", "silver_stg_dms__users__x", "r7"]
    assert proven_rules(names) == {6}


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("r6_rpt_retention__immature_rows_are_flagged", True),
        ("silver_rpt_retention__a_delete_closes", True),
        ("rpt_retention__immature_rows_are_flagged", False),
        ("r6_rpt_other__immature_rows_are_flagged", False),
        ("r6_rpt_retention", False),
    ],
)
def test_unit_test_name_is_a_sentence_about_a_rule_and_its_model(name: str, accepted: bool) -> None:
    assert is_sentence(name, "rpt_retention") is accepted
