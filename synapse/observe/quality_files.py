"""The quality summary as files: Markdown for a chat or a pull request, one HTML page for people."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from synapse.observe.quality import Quality
from synapse.settings import Settings
from synapse.whole_files import write_whole

_VERDICTS = {
    "good": "All is well",
    "look": "Worth a look",
    "bad": "Something is wrong",
}


def write_quality(settings: Settings, quality: Quality) -> list[Path]:
    """Write <lake>/reports/quality-<date>.md and .html, each by one rename; returns their paths."""
    lake = settings.open_lake()
    paths = []
    for suffix, text in (("md", as_markdown(quality)), ("html", as_html(quality))):
        name = f"reports/quality-{quality.date}.{suffix}"
        path = lake.root / name
        write_whole(path, text.encode())
        lake.publish(name)
        paths.append(path)
    return paths


def as_markdown(quality: Quality) -> str:
    """The summary as GitHub's Markdown."""
    return _render("quality.md.j2", quality, is_html=False)


def as_html(quality: Quality) -> str:
    """The summary as one page that loads nothing from elsewhere."""
    return _render("quality.html.j2", quality, is_html=True)


def _render(template: str, quality: Quality, *, is_html: bool) -> str:
    environment = Environment(
        loader=PackageLoader("synapse.observe"),
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["whole"] = lambda number: f"{number:,}"
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    environment.filters["age"] = _age
    text = environment.get_template(template).render(q=quality, verdict=_VERDICTS[quality.verdict])
    return text.rstrip() + "\n"


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "unknown"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"
