"""Settings of the documentation site: `nox -s docs` builds it into build/docs.

The pages are plain Markdown, readable on a forge. The README is the first page of the site.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils.nodes import Element, TextElement
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from pytest_cobbler import api

ROOT = Path(__file__).parents[1]
FORGE = "https://github.com/pytest-cobbler/pytest-cobbler/blob/main/"

project = "pytest-cobbler"
author = "The pytest-cobbler developers"
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = project
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True
# No inventory of another project is downloaded, so names of the standard library and of pytest are not links.
# The others are of the inner rooms: a project gets them from a fixture and passes them on.
_PASSED_ON = (
    "Account|Afterwards|ApiHealth|Beginning|Credential|Failures|Hooks|PriceList|Probe|Process|Repository|Session|Unpaid"
    "|Worktree|Writable|Caches"
)
nitpick_ignore_regex = [
    (r"py:.*", r"(?!pytest_cobbler\.).*"),
    (r"py:class", rf"pytest_cobbler\..*\.({_PASSED_ON})"),
]


def read_page(_app: Sphinx, page: str, source: list[str]) -> None:
    """Begin the first page with the README; let links between the two directories lead within the site."""
    text = source[0]
    if page == "index":
        readme = (ROOT / "README.md").read_text("utf-8")
        text = readme.replace("](docs/", "](").replace('src="docs/', 'src="') + text
        text = re.sub(r"\]\((?=(?:CHANGELOG|CONTRIBUTING|SECURITY)\.md|LICENSE)", f"]({FORGE}", text)
    source[0] = text.replace("](../README.md", "](index.md").replace("](../", f"]({FORGE}")


def link_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: TextElement
) -> Element | None:
    """Resolve the name of a class in its own module to its entry under `pytest_cobbler.api`."""
    home = str(node.get("reftarget")).rpartition(".")
    public = {place.replace(":", "."): name for name, place in api._HOMES.items()}
    name = public.get("".join(home), home[2])
    if node.get("refdomain") != "py" or name not in api.__all__:
        return None
    target = f"pytest_cobbler.api.{name}"
    domain = env.domains.python_domain
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)


def shorten_signature(
    _app: Sphinx,
    _kind: str,
    _name: str,
    _entry: object,
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Show a dataclass's default factory as `...`, and no arguments of a protocol, which no one calls."""
    if signature == "(*args, **kwargs)":
        return "", returns
    return signature and signature.replace("<factory>", "..."), returns


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", read_page)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("missing-reference", link_public_name)
    return {"parallel_read_safe": True}
