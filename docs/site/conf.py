"""The configuration of Sphinx for the site (./run.sh docs)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import neon_rnn

project = 'neon_rnn'
release = neon_rnn.__version__
extensions = ['myst_parser', 'notebook_page', 'repository_pages']

# The source folder is the repository, so that links on the pages are the same as on GitHub.
root_doc = 'README'
include_patterns = ['*.md', 'data/README.md', 'docs/*.md', 'docs/*.ipynb', 'results/TABLE.md']
exclude_patterns = ['.*', 'benchmarks', 'build', 'neon_rnn', 'results/*/', 'tests']
nitpicky = True
highlight_language = 'text'
#: What the side of each page lists: heading -> pages. A page that is missing is a warning.
contents = {
    'Use it': [
        'docs/data',
        'docs/training',
        'docs/use',
        'docs/api',
        'docs/notebook',
        'docs/layer',
    ],
    'The experiment': ['docs/reproduction', 'results/TABLE', 'docs/models', 'docs/lecture'],
    'Machines': [
        'docs/container',
        'docs/performance',
        'docs/speeds',
        'docs/fast',
        'docs/scaling',
        'docs/gpu-on-cpu',
    ],
    'The project': [
        'docs/architecture',
        'docs/reliability',
        'CONTRIBUTING',
        'CHANGELOG',
        'data/README',
    ],
}

# The syntax that GitHub has and nothing else, with the anchors that GitHub gives to headings.
myst_disable_syntax = ['myst_role', 'myst_target', 'myst_line_comment', 'myst_block_break']
myst_heading_anchors = 4

html_theme = 'furo'
pygments_dark_style = 'monokai'
html_title = 'neon_rnn'
html_static_path = ['site.css']
html_css_files = ['site.css']
html_copy_source = False
html_show_copyright = False
html_use_index = False
