"""The stylesheets: contrast as WCAG 2.2 computes it, size, and nothing from elsewhere (UX §2)."""

from __future__ import annotations

import re

import pytest

from authserver.web.pages import STATIC, UI


def test_no_template_or_stylesheet_names_another_host():
    for path in (UI / "templates").rglob("*.html"):
        assert not re.search(r"""(?:src|href|action|content|data)=["']?(?:[a-z]+:)?//""", path.read_text()), path
    for path in STATIC.rglob("*.css"):
        text = path.read_text()
        assert "@import" not in text
        assert all(address.startswith("data:") for address in re.findall(r"url\([\"']?([^\"')]{1,20})", text)), path


def test_our_own_rules_are_at_most_ten_kilobytes():
    assert (STATIC / "app.css").stat().st_size <= 10 * 1024


def channels(colour: str) -> tuple[float, ...]:
    if colour.startswith("#"):
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        return tuple(int(digits[index : index + 2], 16) for index in (0, 2, 4))
    return tuple(float(number) for number in re.findall(r"[\d.]+", colour))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = [
        value / 255 / 12.92 if value / 255 <= 0.04045 else ((value / 255 + 0.055) / 1.055) ** 2.4
        for value in channels(colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio (WCAG 2.2), 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def tokens(theme: str) -> dict[str, str]:
    """The custom properties that hold in a theme: Pico's, then ours."""
    found: dict[str, str] = {}
    for name in ("vendor/pico/pico.min.css", "app.css"):
        css = re.sub(r"/\*.*?\*/", "", (STATIC / name).read_text(), flags=re.DOTALL)
        for selector, body in re.findall(r"([^{}]*)\{([^{}]*)\}", css):
            if f"[data-theme={theme}]" in [part.strip() for part in selector.split(",")]:
                found |= dict(re.findall(r"(--[\w-]+):\s*([^;]+)", body))
    return found


def colour(theme: str, name: str) -> str:
    value = tokens(theme)[name]
    while match := re.fullmatch(r"var\((--[\w-]+)\)", value):
        value = tokens(theme)[match[1]]
    return value


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["--pico-card-background-color", "--pico-form-element-background-color", "--page"])
def test_borders_and_focus_stand_out_by_three_to_one(theme, ground):
    for name in (
        "--pico-form-element-border-color",
        "--pico-form-element-invalid-border-color",
        "--pico-form-element-invalid-active-border-color",
        "--pico-primary",
        "--problem",
    ):
        assert contrast(colour(theme, name), colour(theme, ground)) >= 3, name


@pytest.mark.parametrize(
    ("theme", "name", "ratio"),
    [
        ("light", "--pico-form-element-border-color", 4.7),
        ("dark", "--pico-form-element-border-color", 5.8),
        ("light", "--pico-form-element-invalid-border-color", 6.5),
        ("dark", "--pico-form-element-invalid-border-color", 7.2),
        ("light", "--pico-primary", 5.2),
        ("dark", "--pico-primary", 7.0),
    ],
)
def test_contrasts_are_the_measured_ones(theme, name, ratio):
    measured = [
        contrast(colour(theme, name), colour(theme, ground))
        for ground in (
            "--pico-card-background-color",
            "--pico-background-color",
            "--pico-form-element-background-color",
        )
    ]
    assert any(value == pytest.approx(ratio, abs=0.1) for value in measured), measured


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("--pico-color", "--pico-card-background-color"),
        ("--pico-color", "--page"),
        ("--pico-color", "--problem-background"),
        ("--pico-muted-color", "--pico-card-background-color"),
        ("--pico-muted-color", "--page"),
        ("--pico-primary", "--pico-card-background-color"),
        ("--pico-primary", "--problem-background"),
        ("--pico-primary-inverse", "--pico-primary-background"),
        ("--pico-code-color", "--pico-code-background-color"),
        ("--problem", "--pico-card-background-color"),
        ("--notice", "--notice-background"),
        ("--pico-form-element-color", "--pico-form-element-background-color"),
    ],
)
def test_text_stands_out_by_four_and_a_half_to_one(theme, text, ground):
    assert contrast(colour(theme, text), colour(theme, ground)) >= 4.5


def test_the_dark_rules_are_the_same_by_choice_and_by_the_systems_wish():
    css = (STATIC / "app.css").read_text()
    by_wish = re.search(r":root:not\(\[data-theme\]\) \{([^}]*)\}", css)
    by_choice = re.search(r"\n\[data-theme=dark\] \{([^}]*)\}", css)
    assert by_wish is not None
    assert by_choice is not None
    assert by_wish[1].split() == by_choice[1].split()
