"""Every link of the manual leads somewhere."""

import pytest

from tests.architecture.source import ROOT, relative
from tests.docs.markdown import anchors, links, pages


@pytest.mark.parametrize("page", pages(ROOT), ids=relative)
def test_every_link_of_a_page_resolves(page):
    broken = []
    for link in links(page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, fragment = link.partition("#")
        target = page if not path else (page.parent / path)
        found = target.exists() and (not fragment or fragment in anchors(target.read_text(encoding="utf-8")))
        if not found:
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=relative)
def test_every_page_of_the_manual_is_reached_from_its_index_in_two_clicks(page):
    home = ROOT / "docs/README.md"
    first = {(home.parent / link.partition("#")[0]).resolve() for link in links(home.read_text(encoding="utf-8"))}
    second = {
        (index.parent / link.partition("#")[0]).resolve()
        for index in first
        if index.suffix == ".md"
        for link in links(index.read_text(encoding="utf-8"))
    }
    assert page.resolve() in {home.resolve(), *first, *second}
