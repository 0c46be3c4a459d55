"""What drops out of the figures, or may count twice, is said by the load and by `media status`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from test_deliveries import FEED, LOG, START, Partner, partner, versioned_bucket

__all__ = ["partner"]


def status(partner: Partner) -> list[str]:
    """Returns the notices of `media status`."""
    found = json.loads(partner.product.run("status", "--json").stdout)
    return [notice["sentence"] for notice in found["notices"]]


def test_a_span_that_drops_a_day_or_a_client_is_reported_until_the_next_build(partner: Partner) -> None:
    partner.feed(covers="span")
    days = ("01 Acme A 1", "02 Acme A 2", "03 Acme A 3", "03 Beta B 3", "04 Acme A 4")
    assert partner.deliver("a/1.csv", *days) == []
    partner.product.transform()
    expected = [
        "s3://drops/a/2.csv has no rows of Acme 2026-08-02 to 2026-08-03; Beta 2026-08-03, so those of"
        " s3://drops/a/1.csv no longer count: if it does not cover every day from its first to its last, set"
        " covers: rows"
    ]
    assert partner.deliver("a/2.csv", "01 Acme A 1", "04 Acme A 5") == expected
    assert partner.deliver("a/3.csv", "04 Acme A 6", "05 Acme A 6") == []
    assert status(partner) == expected
    partner.product.transform()
    assert status(partner) == []
    # the same days wait for a build again, but for other reasons
    partner.product.set_cpm("Acme", Decimal(2), None)
    partner.product.feeds({"a": {**FEED, "covers": "span"}, "b": {**FEED, "location": "s3://drops/b/"}})
    assert partner.deliver("b/1.csv", *days) == []
    assert status(partner) == []


def test_a_restatement_that_was_built_is_not_reported_again(partner: Partner) -> None:
    partner.feed()
    partner.deliver("a/1.csv", "01 Acme A 1", "01 Beta B 1")
    assert len(partner.deliver("a/2.csv", "01 Acme A 2")) == 1
    partner.product.transform()
    partner.product.feeds({name: {**FEED, "location": f"s3://drops/{name}/"} for name in "ab"})
    assert partner.deliver("b/1.csv", "01 Acme A 1", "01 Beta B 1") == []
    assert status(partner) == []


def test_a_new_version_that_drops_a_day_is_reported(partner: Partner) -> None:
    partner.feed()
    partner.deliver("a/latest.csv", "01 Acme A 1", "02 Acme A 1")
    assert partner.deliver("a/latest.csv", "02 Acme A 2", "03 Acme A 3") == [
        "s3://drops/a/latest.csv of 2026-08-20 02:00 has no rows of Acme 2026-08-01, so those of"
        " s3://drops/a/latest.csv of 2026-08-20 01:00 no longer count: if each version of this key is a"
        " delivery of its own, set same_key: adds"
    ]


def test_rows_that_are_gone_after_loading_again_are_reported(partner: Partner) -> None:
    partner.feed(format={"date": "%Y-%m-%d"})
    partner.deliver("a/1.csv", "01 Acme A 1", "02 Acme A 1")
    partner.feed(format={"date": "%Y-%d-%m"})
    assert partner.load(key="a/1.csv") == [
        "s3://drops/a/1.csv was loaded again and now has no rows of Acme 2026-08-01 to 2026-08-02, so those"
        " that it had no longer count: if that is wrong, correct the feed in feeds.yml and load it again with"
        " --key"
    ]


def test_a_version_and_its_span_name_both_settings(partner: Partner) -> None:
    partner.feed(covers="span")
    partner.deliver("a/latest.csv", "01 Acme A 1", "02 Acme A 1", "03 Acme A 1")
    (sentence,) = partner.deliver("a/latest.csv", "01 Acme A 2", "03 Acme A 3")
    assert sentence.endswith("set same_key: adds and covers: rows")


def test_a_client_or_a_day_that_a_restatement_leaves_out_is_reported(partner: Partner) -> None:
    partner.feed()
    partner.deliver("a/1.csv", "01 Acme A 1", "01 Beta B 1", "02 Acme A 1", "03 Acme A 1", "04 Acme A 1")
    expected = [
        "s3://drops/a/2.csv replaces days of s3://drops/a/1.csv but has no rows of Acme 2026-08-02; Beta"
        " 2026-08-01, which stay as they were: if no rows means zero, set covers: span"
    ]
    assert partner.deliver("a/2.csv", "01 Acme A 2", "03 Acme A 2") == expected
    assert partner.deliver("a/3.csv", "01 Acme A 2", "03 Acme A 2") == []  # takes nothing over from 1.csv
    assert status(partner) == expected


def test_a_delivery_that_leaves_out_a_client_is_reported(partner: Partner) -> None:
    partner.feed(key_pattern=r"(?P<delivery>\w+)/[^/]*$")
    partner.deliver("a/mon/x.csv", "01 Acme A 1")
    partner.deliver("a/mon/y.csv", "01 Acme A 1", "01 Beta B 1")
    (sentence,) = partner.deliver("a/tue/x.csv", "01 Acme A 1")
    assert "s3://drops/a/mon/y.csv but has no rows of Beta 2026-08-01" in sentence


def test_what_is_ordinary_is_not_reported(partner: Partner) -> None:
    """A rolling window, a restatement, a late file, a copy in place, a retraction, parts of a day."""
    partner.feed()
    for first in range(1, 5):
        days = [f"{day:02} Acme A {first}" for day in range(first, first + 3)]
        assert partner.deliver(f"a/{first}.csv", *days) == []
    assert partner.deliver("a/2.csv", "02 Acme A 2", "03 Acme A 2", "04 Acme A 2") == []
    assert partner.deliver("a/4-again.csv", "04 Acme A 9", "05 Acme A 9", "06 Acme A 9") == []
    partner.retract("a/4-again.csv")
    assert status(partner) == []


def test_a_rolling_window_with_a_span_is_not_reported(partner: Partner) -> None:
    partner.feed(covers="span")
    for first in range(1, 5):
        days = [f"{day:02} {who} A {first}" for day in range(first, first + 3) for who in ("Acme", "Beta")]
        assert partner.deliver(f"a/{first}.csv", *days) == []


def test_a_file_that_does_not_count_because_an_equal_one_does_is_reported(partner: Partner) -> None:
    partner.feed(redelivery="append")
    partner.deliver("a/1.csv", "01 Acme A 1")
    expected = [
        "s3://drops/a/2.csv does not count (Acme 2026-08-01), because s3://drops/a/1.csv has the same"
        " content: if both are parts, give key_pattern a group (?P<part>…) that tells them apart"
    ]
    assert partner.deliver("a/2.csv", "01 Acme A 1") == expected
    assert status(partner) == expected
    first, second = partner.product.query(LOG)
    assert second["message"] == f"1 row, not counted: same content as run {first['id']}"
    partner.product.transform()
    assert status(partner) == []
    partner.retract("a/1.csv")
    partner.deliver("a/3.csv", "02 Acme A 1")
    assert partner.product.query(LOG)[1]["message"] == "1 row"
    partner.feed(redelivery="append", location="s3://drops/b/")
    partner.deliver("b/1.csv", "01 Acme A 1")
    partner.deliver("b/2.csv", "01 Acme A 1")
    assert partner.deliver("b/1.csv", "02 Acme A 1") == []  # now the copy counts
    assert partner.deliver("a/0.csv", expect=0) == []  # equal files without rows have nothing to lose
    assert partner.deliver("a/9.csv") == []


def test_the_later_of_equal_files_does_not_count_whenever_it_was_loaded(partner: Partner) -> None:
    partner.feed(redelivery="append")
    partner.deliver("a/2.csv", "01 Acme A 1")
    (sentence,) = partner.deliver("a/1.csv", "01 Acme A 1", at=START)
    assert sentence.startswith("s3://drops/a/2.csv does not count")
    assert "not counted" in partner.product.query(LOG)[0]["message"]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (["01 Acme A 10", "01 Acme B 20", "01 Acme (not_set) 30"], "Acme 2026-08-01; impressions: 30"),
        (["01 Acme A 10", "01 Acme (not_set) 10"], "Acme 2026-08-01; impressions: 10"),
        (["01 Acme A 1", "01 Acme B 2", "02 Acme A 5", "01 Acme (not_set) 3"], "Acme 2026-08-01"),
        (["01 Acme A 1", "01 Beta B 2", "02 Acme A 5", "02 Acme (not_set) 8"], "Acme 2026-08-02"),
        (["01 Acme A 10", "01 Beta (not_set) 7", "01 Acme (not_set) 17"], "Acme 2026-08-01"),
        (["01 Acme A 10", "01 Acme B 20", "01 Acme (not_set) 29"], None),
        (["01 Acme A 1", "01 Acme (not_set) 1", "02 Acme B 5"], None),
        (["01 Acme A 0", "01 Acme (not_set) 0"], None),
        (["01 Acme (not_set) 5", "01 Beta (not_set) 5"], None),
    ],
)
def test_a_row_without_names_that_contains_the_sum_of_the_others_is_reported(
    partner: Partner, rows: list[str], found: str | None
) -> None:
    partner.feed()
    lines = [row.replace("(not_set)", "-").split() for row in rows]
    text = [f"2026-08-{day},{who},{'' if name == '-' else name},{imps}" for day, who, name, imps in lines]
    partner.product.s3.put("a/1.csv", "\n".join(["Day,Client,Campaign,Imps", *text]), "drops")
    sentences = partner.load()
    assert status(partner) == sentences
    assert [found in sentence for sentence in sentences] == [True] if found else not sentences


def test_a_constant_is_not_a_name_of_the_row(partner: Partner) -> None:
    partner.feed(columns={**partner_columns(), "strategy_name": {"constant": "Social"}})
    partner.product.s3.put(
        "a/1.csv", "Day,Client,Campaign,Imps\n2026-08-01,Acme,A,10\n2026-08-01,Acme,,10\n", "drops"
    )
    assert len(partner.load()) == 1
    partner.feed(columns={"date": "Day", "impressions": "Imps"})
    partner.product.s3.put("a/2.csv", "Day,Client,Imps\n2026-08-02,Acme,10\n2026-08-02,Acme,10\n", "drops")
    assert partner.load() == []


def partner_columns() -> dict[str, Any]:
    return {"date": "Day", "campaign_name": "Campaign", "impressions": "Imps"}


def test_json_has_the_notices_of_each_file(partner: Partner) -> None:
    partner.feed(redelivery="append")
    partner.put("a/1.csv", "01 Acme A 1")
    partner.put("a/2.csv", "01 Acme A 1")
    results = json.loads(partner.product.run("load", "--json").stdout)
    assert [len(result["notices"]) for result in sorted(results, key=lambda one: one["uri"])] == [0, 1]


def test_versions_that_add_are_not_reported(partner: Partner) -> None:
    versioned_bucket(partner)
    for day in (1, 2, 3):
        assert partner.deliver("a/latest.csv", f"0{day} Acme A 1", bucket="archive") == []
