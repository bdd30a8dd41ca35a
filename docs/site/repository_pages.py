"""Pages of a repository as a site: GitHub's Markdown needs nothing added for Sphinx.

The side of the pages comes from ``contents`` in conf.py. Files that a page links to, such as a
source file or a record, are copied into the site, to the place that they have in the repository.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

#: Columns from which on a table counts as wide.
WIDE = 6

logger = logging.getLogger(__name__)


class Contents(SphinxTransform):
    """Gives the first page the table of contents of the site, which it does not show itself."""

    default_priority = 1

    def apply(self, **settings: Any) -> None:
        """Append one hidden toctree for each heading of ``contents``."""
        if self.env.docname != self.config.root_doc:
            return
        for caption, pages in self.config.contents.items():
            tree = addnodes.toctree(
                parent=self.env.docname,
                entries=[(None, page) for page in pages],
                includefiles=pages,
                maxdepth=1,
                caption=caption,
                rawcaption=caption,
                glob=False,
                hidden=True,
                includehidden=False,
                numbered=0,
                titlesonly=True,
            )
            self.document[0].append(nodes.compound('', tree, classes=['toctree-wrapper']))


class LinkedFiles(SphinxTransform):
    """Makes links to files ordinary links, and keeps the names of the files."""

    default_priority = 800  # before Sphinx collects the downloads

    def apply(self, **settings: Any) -> None:
        """Replace the downloads that the parser makes of links to files."""
        page = Path(self.env.docname)
        files = self.env.metadata[self.env.docname].setdefault('linked_files', [])
        for link in list(self.document.findall(addnodes.download_reference)):
            target = link['reftarget']
            file = os.path.normpath(page.parent / target)
            if not Path(self.env.srcdir, file).is_file():
                logger.warning('a link to %s, which is not a file', target, location=link)
            files.append(file)
            link.replace_self(nodes.reference('', '', *link.children, refuri=target))


class WideTables(SphinxTransform):
    """Marks the tables that need more width than a page has, for site.css."""

    default_priority = 800

    def apply(self, **settings: Any) -> None:
        """Give tables of many columns the class ``wide``."""
        for group in self.document.findall(nodes.tgroup):
            if group['cols'] >= WIDE:
                group.parent['classes'].append('wide')


def copy_files(app: Sphinx, error: Exception | None) -> None:
    """Copy the linked files, and the first page to ``index.html``."""
    if error is not None:
        return
    for page in app.env.found_docs:
        for file in app.env.metadata[page].get('linked_files', []):
            target = Path(app.outdir, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(app.srcdir, file), target)
    shutil.copyfile(Path(app.outdir, app.config.root_doc + '.html'), app.outdir / 'index.html')


def setup(app: Sphinx) -> dict[str, bool]:
    """Add everything to Sphinx."""
    app.add_config_value('contents', {}, 'env', [dict])
    app.add_transform(Contents)
    app.add_transform(LinkedFiles)
    app.add_transform(WideTables)
    app.connect('build-finished', copy_files)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
