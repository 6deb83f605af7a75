"""What is wrong with a page as it is drawn: scripts for the browser that give [] where all is well."""

from __future__ import annotations

from typing import Final

# Text, and borders of fields, whose contrast with what lies behind them is too low.
TOO_PALE: Final = """() => {
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const luminance = (colour) => {
        const [red, green, blue] = colour.map((value) => linear(value / 255));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const contrast = (one, other) => {
        const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
        return (light + 0.05) / (dark + 0.05);
    };
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = channels(getComputedStyle(each).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const style = getComputedStyle(element);
        if (!element.getClientRects().length || style.visibility === "hidden") continue;
        if ([...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) {
            const ratio = contrast(channels(style.color), behind(element));
            if (ratio < 4.5) found.push(`text ${ratio.toFixed(2)} ${element.outerHTML.slice(0, 80)}`);
        }
        if (element.matches("input:not([type=hidden])")) {
            const ratio = contrast(channels(style.borderTopColor), behind(element.parentElement));
            if (ratio < 3) found.push(`border ${ratio.toFixed(2)} ${element.outerHTML.slice(0, 80)}`);
        }
    }
    return found;
}"""
# Words that are wider than the box they stand in.
CUT_OFF: Final = """() => [...document.querySelectorAll("button, a, label, h1, h2, p, li, summary, .tag")]
    .filter((element) => element.getClientRects().length && element.scrollWidth > element.clientWidth + 1
        && getComputedStyle(element).display !== "inline")
    .map((element) => element.outerHTML.slice(0, 80))"""
# What somebody clicks or taps on and can hardly hit.
TOO_SMALL: Final = """() => [...document.querySelectorAll("a, button, summary, label.choice, input:not([type=hidden])")]
    .filter((element) => {
        const { width, height } = element.getBoundingClientRect();
        const high = element.matches("button:not(.link), [role=button], summary, input:not([type=checkbox])") ? 44 : 24;
        const inText = element.matches("dd a, p a:not(:only-child), .problem a");
        return width && !inText && (height < high || width < 24);
    })
    .map((element) => element.outerHTML.slice(0, 80))"""
