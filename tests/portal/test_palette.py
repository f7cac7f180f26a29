"""The colours of the style sheets: text can be read, lines and cells told apart, no page has colours of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house import ROOT

CSS = ROOT / "static" / "css"
NAMED = re.compile(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6});")
LITERAL = re.compile(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)|\b(?:rgba?|hsla?|oklch|lab|lch)\(")
SCHEMES = {"light": 0, "dark": 1, "print": 2}
TEXT, GRAPHICS = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11


def palette(scheme: str) -> dict[str, str]:
    """The colours that hold in a scheme."""
    blocks = (CSS / "variables.css").read_text(encoding="utf-8").split("@media")
    light, dark = dict(NAMED.findall(blocks[0])), dict(NAMED.findall(blocks[1]))
    paper = dict(NAMED.findall(blocks[-1]))
    return [light, light | dark, light | dark | paper][SCHEMES[scheme]]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#ffffff", "#0072b2") == pytest.approx(5.19, abs=0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_can_be_read(scheme: str) -> None:
    of = palette(scheme)
    pairs = [(text, ground) for text in ("ink", "muted", "accent", "warn") for ground in ("ground", "paper")]
    pairs += [("ink", "accent-soft"), ("accent", "accent-soft"), ("on-accent", "accent"), ("warn", "warn-soft")]
    pairs += [("on-heat-low", f"heat-{step}") for step in range(5)]
    pairs += [("on-heat-high", f"heat-{step}") for step in (5, 6)]
    found = {pair: round(contrast(of[pair[0]], of[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in found.items() if ratio < TEXT} == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_lines_and_bars_stand_out_from_the_paper(scheme: str) -> None:
    of = palette(scheme)
    found = {name: round(contrast(of[name], of["paper"]), 2) for name in [*(f"series-{i}" for i in range(1, 7)), "gap"]}
    assert {name: ratio for name, ratio in found.items() if ratio < GRAPHICS} == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_steps_of_heat_go_one_way(scheme: str) -> None:
    steps = [luminance(palette(scheme)[f"heat-{step}"]) for step in range(7)]
    assert steps in (sorted(steps), sorted(steps, reverse=True))
    ratios = [contrast(palette(scheme)[f"heat-{step}"], palette(scheme)[f"heat-{step + 1}"]) for step in range(6)]
    assert min(ratios) >= 1.1


@pytest.mark.parametrize("sheet", sorted(path.name for path in CSS.glob("*.css") if path.name != "variables.css"))
def test_no_sheet_but_one_names_a_colour(sheet: str) -> None:
    rules = re.sub(r"/\*.*?\*/", "", (CSS / sheet).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert [line for line in rules.splitlines() if LITERAL.search(line)] == []
    used = set(re.findall(r"var\(--([a-z0-9-]+)", rules))
    known = set(re.findall(r"--([a-z0-9-]+):", (CSS / "variables.css").read_text(encoding="utf-8")))
    assert used <= known


def test_scripts_name_no_colour_either() -> None:
    scripts = sorted(Path(ROOT / "static" / "js").glob("*.js"))
    found = {
        path.name: re.findall(r"[\"'`]#[0-9a-fA-F]{3,8}[\"'`]", path.read_text(encoding="utf-8")) for path in scripts
    }
    assert {name: colours for name, colours in found.items() if colours} == {}
