"""Check a folder of HTML pages: where links lead, and where resources come from."""

from __future__ import annotations

import html.parser
import os
import re
import urllib.parse
from pathlib import Path

#: Tag -> attributes that a browser follows without being asked.
RESOURCES = {
    'audio': ('src',),
    'embed': ('src',),
    'iframe': ('src',),
    'image': ('href', 'xlink:href'),
    'img': ('src', 'srcset'),
    'input': ('src',),
    'link': ('href',),
    'object': ('data',),
    'script': ('src',),
    'source': ('src', 'srcset'),
    'track': ('src',),
    'use': ('href', 'xlink:href'),
    'video': ('src', 'poster'),
}
#: Schemes that a link for readers may have.
OUTWARD = ('http', 'https', 'mailto')


class Page(html.parser.HTMLParser):
    """The anchors, links and resources of one page.

    Attributes
    ----------
    anchors : set of str
    links : list of str
        Where readers can go.
    resources : list of str
        What the browser loads by itself.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.resources: list[str] = []
        self._style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take what a tag names and follows."""
        given = {name: value or '' for name, value in attributes}
        self.anchors |= {given[name] for name in ('id', 'name') if name in given}
        if tag in ('a', 'area') and 'href' in given:
            self.links.append(given['href'])
        for name in RESOURCES.get(tag, ()):
            if name in given:
                parts = given[name].split(',') if name == 'srcset' else [given[name]]
                self.resources += [part.split()[0] for part in parts if part.strip()]
        self.resources += loaded_by_css(given.get('style', ''))
        self._style = tag == 'style'

    def handle_data(self, data: str) -> None:
        """Take what a style sheet inside the page loads."""
        if self._style:
            self.resources += loaded_by_css(data)

    def handle_endtag(self, tag: str) -> None:
        """Leave a style sheet."""
        self._style = False


def loaded_by_css(text: str) -> list[str]:
    """Return the addresses that a style sheet loads."""
    without_comments = re.sub(r'/\*.*?\*/', '', text, flags=re.DOTALL)
    found = re.findall(
        r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^)\s]*))\s*\)|@import\s+["']([^"']*)["']""",
        without_comments,
    )
    return [''.join(groups) for groups in found]


def problems(site: str | os.PathLike[str]) -> list[str]:
    """Return a line for each thing that is wrong on the pages of a folder, sorted.

    A link has to lead to a file of the folder, and to an anchor that is there. A script, a style
    sheet, a font or a picture has to be such a file as well: nothing may come from elsewhere when a
    page is read.
    """
    root = Path(site).resolve()
    pages = {path: Page(path.read_text('utf-8')) for path in sorted(root.rglob('*.html'))}
    found = set()
    for path, page in pages.items():
        name = path.relative_to(root)
        for link in page.links:
            if urllib.parse.urlsplit(link).scheme not in OUTWARD:
                found |= {f'{name}: {link}: {wrong}' for wrong in _astray(path, link, root, pages)}
        for link in page.resources:
            found |= {f'{name}: {link}: {wrong}' for wrong in _resource(path, link, root)}
    for path in sorted(root.rglob('*.css')):
        for link in loaded_by_css(path.read_text('utf-8')):
            name = path.relative_to(root)
            found |= {f'{name}: {link}: {wrong}' for wrong in _resource(path, link, root)}
    return sorted(found)


def _resource(path: Path, link: str, root: Path) -> list[str]:
    """Return what is wrong with a resource of a file."""
    if link.startswith('data:'):
        return []
    return _astray(path, link, root, None)


def _astray(path: Path, link: str, root: Path, pages: dict[Path, Page] | None) -> list[str]:
    """Return what is wrong with a link inside the site; `pages` are given to check its anchor."""
    parts = urllib.parse.urlsplit(link)
    if parts.scheme or parts.netloc or parts.path.startswith('/'):
        return ['comes from elsewhere' if pages is None else 'leads out of the site']
    target = path
    if parts.path:
        target = Path(os.path.normpath(path.parent / urllib.parse.unquote(parts.path)))
    if root not in target.parents:
        return ['leads out of the site']
    if not target.is_file():
        return ['there is no such file']
    anchor = urllib.parse.unquote(parts.fragment)
    if pages and anchor and target in pages and anchor not in pages[target].anchors:
        return ['there is no such anchor']
    return []
