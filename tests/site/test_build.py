"""A build runs the lessons: it fails when a claim does not hold, and it shows which one."""

import subprocess

import pytest

pytest.importorskip("myst_nb", reason="run by the site's own environment: make site-check")

LESSON = '''# %% [markdown]
"""
# Lesson 1: Does it hold?

Needs: nothing.

Runtime: 1 s on 2 cores
"""

# %%
from fcn_from_scratch.course import check

check("two and two are {sum}", 2 + 2 == {sum})
'''


def built(folder, sum_):
    """Build a site of one small lesson. Returns: (the finished process, its page)."""
    from build import sphinx_command

    src, out = folder / "src", folder / "html"
    (src / "lessons").mkdir(parents=True)
    (src / "index.md").write_text("# Index\n\n```{toctree}\nlessons/lesson_01_metrics\n```\n", encoding="utf-8")
    (src / "glossary.md").write_text("# Glossary\n", encoding="utf-8")
    (src / "lessons/lesson_01_metrics.py").write_text(LESSON.format(sum=sum_), encoding="utf-8")
    command = sphinx_command("html", src, out, folder / "doctrees")
    command[-2:-2] = ["-D", f"nb_execution_cache_path={folder / 'cache'}", "-D", "html_static_path="]
    command[-2:-2] = ["-D", "suppress_warnings=toc.not_included"]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=folder)
    return result, out / "lessons/lesson_01_metrics.html"


@pytest.mark.slow
def test_a_claim_that_holds_stands_on_the_page(site, tmp_path):
    result, page = built(tmp_path, 4)
    assert result.returncode == 0, result.stderr
    html = page.read_text(encoding="utf-8")
    assert '<ul class="claims' in html
    assert "two and two are 4" in html


@pytest.mark.slow
def test_a_claim_that_does_not_hold_fails_the_build(site, tmp_path):
    result, _ = built(tmp_path, 5)
    assert result.returncode != 0
    assert "this claim does not hold: two and two are 5" in result.stderr
