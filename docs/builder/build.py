"""Build the site: `make site` runs this file in the site's own environment, build/site/venv.

FCN_SITE_LESSONS="01 07"   only these lessons, for quick work on the pages
FCN_PYODIDE=DIR            copy the browser's Python from this folder, instead of naming the public CDN
FCN_SITE_URL=ADDRESS       the address that the site will have, for its sitemap
"""

import subprocess
import sys

from finished_site import finish
from places import BUILD, DOCTREES, HTML, ROOT, SITE, SRC
from sources import assemble
from static_files import copy_static


def main():
    assemble()
    copy_static()
    run_sphinx()
    finish()
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file()) / 1e6
    print(f"The site is in {SITE.relative_to(ROOT)}/ ({size:.0f} MB): `python -m http.server -d site` serves it.")


def run_sphinx():
    """Read the sources, run the lessons that changed, write the pages. Any warning and any broken claim fails."""
    options = ["-q", "--fail-on-warning", "--keep-going", "--conf-dir", str(ROOT / "docs" / "builder")]
    command = [sys.executable, "-m", "sphinx", "-b", "html", *options, "-d", str(DOCTREES), str(SRC), str(HTML)]
    result = subprocess.run(command, cwd=BUILD)
    if result.returncode:
        sys.exit("the site was not built: see the messages above")


if __name__ == "__main__":
    main()
