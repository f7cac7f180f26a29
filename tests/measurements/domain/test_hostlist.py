"""Hostlists both ways: the manual's examples, the bound, and the round trip."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.hostlist import HostlistError, compress, expand

names = st.from_regex(re.compile(r"[a-z]{1,3}[0-9]{0,4}([a-z-][0-9]{0,3}){0,2}"), fullmatch=True).filter(
    lambda name: name not in {"none"}
)


@pytest.mark.parametrize(
    ("text", "first", "last", "count"),
    [
        ("linux[0-64,128]", "linux0", "linux128", 66),
        ("linux[0000-1023]", "linux0000", "linux1023", 1024),
        ("rack[0-63]_blade[0-41]", "rack0_blade0", "rack63_blade41", 2688),
        ("n[8-11]", "n8", "n11", 4),
        ("n[008-101]-ib", "n008-ib", "n101-ib", 94),
    ],
)
def test_the_manuals_examples_count_and_pad(text: str, first: str, last: str, count: int) -> None:
    hosts = expand(text)
    assert (hosts[0], hosts[-1], len(hosts)) == (first, last, count)


def test_commas_divide_outside_brackets_only() -> None:
    assert expand("d07n07s02,d09n04s[01-02],d13n[03,05,07-08,16]") == [
        *("d07n07s02", "d09n04s01", "d09n04s02"),
        *("d13n03", "d13n05", "d13n07", "d13n08", "d13n16"),
    ]
    assert expand("cpn-f13-03-[01-02],cpn-f13-04-[01-02]") == [
        *("cpn-f13-03-01", "cpn-f13-03-02", "cpn-f13-04-01", "cpn-f13-04-02"),
    ]


@pytest.mark.parametrize("text", ["", "  ", "None assigned", "none assigned", "(null)", "None"])
def test_no_hosts(text: str) -> None:
    assert expand(text) == []


def test_a_host_named_twice_counts_once_in_its_first_place() -> None:
    assert expand("n3,n[1-3],n1") == ["n3", "n1", "n2"]


@pytest.mark.parametrize(
    "text",
    ["n[3-1]", "n[1-", "n]1", "n[[1-2]]", "n[]", "n[a-b]", "n[1-2-3]", "n[-1]", "n1 n2", "n[1-9999999999999999999]"],
)
def test_what_is_no_hostlist_is_an_error(text: str) -> None:
    with pytest.raises(HostlistError):
        expand(text)


def test_the_bound_holds_before_anything_is_allocated() -> None:
    assert len(expand("n[1-65536]")) == 65536
    for text in ("n[1-65537]", "n[1-300]m[1-300]", "n[0-999999999999999999]m[0-999999999999999999]", "n[1-65536],x"):
        with pytest.raises(HostlistError, match="more than 65536"):
            expand(text)
    with pytest.raises(HostlistError, match="3 hosts are more than 2"):
        expand("n[1-3]", limit=2)


def test_compress_joins_runs_and_keeps_widths() -> None:
    assert compress(["n010", "n009", "n8", "n9", "n10", "login", "n012"]) == "login,n[8-10,009-010,012]"
    assert compress([]) == ""
    assert compress(["n1-ib", "n2-ib"]) == "n[1-2]-ib"


@pytest.mark.parametrize("name", ["a,b", "a[1]", "", "a b", "(null)"])
def test_compress_refuses_what_a_hostlist_cannot_hold(name: str) -> None:
    with pytest.raises(HostlistError):
        compress([name])


@given(st.lists(names, max_size=40))
def test_round_trip(hosts: list[str]) -> None:
    text = compress(hosts)
    assert sorted(expand(text)) == sorted(set(hosts))
    assert compress(reversed(hosts)) == text


@given(st.text(alphabet="n0159[],-_ x", max_size=30))
def test_any_text_expands_or_is_an_error(text: str) -> None:
    try:
        hosts = expand(text, limit=1000)
    except HostlistError:
        return
    assert len(hosts) <= 1000
    assert len(set(hosts)) == len(hosts)
