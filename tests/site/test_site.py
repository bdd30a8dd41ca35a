"""The documentation as a site: every page is there, and nothing comes from elsewhere."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'results/TABLE.md']
PAGES += [f'docs/{path.name}' for path in sorted((ROOT / 'docs').glob('*.md'))]


@pytest.mark.parametrize('page', PAGES)
def test_a_page_is_on_the_site_and_in_its_contents(site, page):
    heading = re.search('^# (.*)', (ROOT / page).read_text('utf-8'), re.MULTILINE)[1]
    built = (site / page).with_suffix('.html').read_text('utf-8')
    assert heading.split("'")[0] in re.search('<h1>(.*?)<', built)[1]
    first = (site / 'index.html').read_text('utf-8')
    assert page == 'README.md' or f'href="{page[:-3]}.html"' in first


def test_figures_and_linked_files_are_on_the_site(site):
    assert (site / '_images' / 'spatial_rnn.svg').is_file()
    assert (site / '_images' / 'accuracy-time.svg').is_file()
    for file in ('examples/neon_script.py', 'neon_rnn/published.csv', 'CITATION.cff'):
        assert (site / file).read_bytes() == (ROOT / file).read_bytes()


def test_links_to_headings_are_those_of_github(site):
    assert 'href="../README.html#limits-and-what-it-must-not-be-used-for"' in (
        site / 'docs' / 'api.html'
    ).read_text('utf-8')


def test_stars_between_letters_are_products_and_not_emphasis(site):
    """GitHub shows C*H*W as CHW, too, where it is not in backticks."""
    for page in site.rglob('*.html'):
        assert re.findall(r'\w<em>[^<]*</em>\w', page.read_text('utf-8')) == [], page.name


def write(folder, **pages):
    for name, body in pages.items():
        (folder / f'{name}.html').write_text(f'<html><body>{body}</body></html>', 'utf-8')


@pytest.mark.parametrize(
    ('body', 'wrong'),
    [
        ('<a href="other.html#there">', None),
        ('<a href="#own"><p id="own">', None),
        ('<a href="https://arxiv.org/abs/1511.07053">', None),
        ('<img src="data:image/png;base64,AAAA">', None),
        ('<a href="absent.html">', 'there is no such file'),
        ('<a href="other.html#absent">', 'there is no such anchor'),
        ('<a href="#absent">', 'there is no such anchor'),
        ('<a href="../other.html">', 'leads out of the site'),
        ('<a href="/other.html">', 'leads out of the site'),
        ('<a href="file:///etc/hosts">', 'leads out of the site'),
        ('<img src="absent.png">', 'there is no such file'),
        ('<img srcset="other.html 1x, absent.png 2x">', 'there is no such file'),
        ('<script src="https://cdn.example/a.js"></script>', 'comes from elsewhere'),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', 'comes from elsewhere'),
        ('<style>@import "https://fonts.example/a.css";</style>', 'comes from elsewhere'),
        ('<p style="background: url(https://cdn.example/a.png)">', 'comes from elsewhere'),
        ('<iframe src="http://example.org/"></iframe>', 'comes from elsewhere'),
    ],
)
def test_what_the_check_of_links_finds(tools, tmp_path, body, wrong):
    import check_links

    write(tmp_path, one=body, other='<p id="there">')
    found = check_links.problems(tmp_path)
    assert [line.rpartition(': ')[2] for line in found] == ([wrong] if wrong else [])


def test_style_sheets_are_checked_too(tools, tmp_path):
    import check_links

    (tmp_path / 'site.css').write_text(
        '/* url(https://comment.example) */ a { background: url("absent.svg"); }'
        '@font-face { src: url(https://fonts.example/a.woff2) }',
        'utf-8',
    )
    assert check_links.problems(tmp_path) == [
        'site.css: absent.svg: there is no such file',
        'site.css: https://fonts.example/a.woff2: comes from elsewhere',
    ]


@pytest.mark.parametrize(
    'text',
    ['[no heading](docs/api.md#absent)', '[no page](docs/absent.md)', '[no file](absent.py)'],
)
def test_sphinx_refuses_a_link_that_leads_astray(tools, tmp_path, capfd, text):
    """The repository as it is, but for a wrong link on its first page."""
    import make_site

    source = tmp_path / 'repository'
    for page in [*ROOT.glob('*.md'), ROOT / 'data' / 'README.md', ROOT / 'results' / 'TABLE.md']:
        (source / page.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, source / page.relative_to(ROOT))
    shutil.copytree(ROOT / 'docs', source / 'docs')
    for linked in ('CITATION.cff', 'examples', 'neon_rnn', 'results/plots', 'results/runs'):
        (source / linked).symlink_to(ROOT / linked)
    readme = (ROOT / 'README.md').read_text('utf-8')
    (source / 'README.md').write_text(f'{readme}\n{text}\n', 'utf-8')
    assert make_site.build(tmp_path / 'site', source) == ['Sphinx printed what it does not accept.']
    (warning,) = capfd.readouterr().err.splitlines()
    assert f'{source}/README.md:' in warning  # in colour where the environment names CI
    assert 'absent' in warning
