"""Build the site: `make site` runs this file in the site's own environment, build/site/venv.

`build.py links` checks the links of the site that was built last; with FCN_LINKS=all also those to other sites.

FCN_SITE_LESSONS="01 07"   only these lessons, for quick work on the pages
FCN_PYODIDE=DIR            copy the browser's Python from this folder, instead of naming the public CDN
FCN_SITE_URL=ADDRESS       the address that the site will have, for its sitemap
"""

import os
import shutil
import subprocess
import sys

from finished_site import finish
from places import BUILD, DOCTREES, HTML, ROOT, SITE, SRC
from sources import assemble
from static_files import copy_static


def main(words):
    if words == ["links"]:
        run_sphinx("linkcheck", BUILD / "links")
        return
    assemble()
    copy_static()
    shutil.rmtree(HTML / "_static", ignore_errors=True)  # Sphinx would keep files of an earlier, larger build
    run_sphinx("html", HTML)
    finish()
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file()) / 1e6
    print(f"The site is in {SITE.relative_to(ROOT)}/ ({size:.0f} MB): `python -m http.server -d site` serves it.")


def run_sphinx(builder, out):
    """Read the sources that changed, run their lessons, write `out`. Any warning and any broken claim fails."""
    settings = {**os.environ, "IPYTHONDIR": str(_kernel_settings())}
    if subprocess.run(sphinx_command(builder, SRC, out, DOCTREES), cwd=BUILD, env=settings).returncode:
        shutil.rmtree(DOCTREES, ignore_errors=True)  # Sphinx warns of a page only when it reads it
        sys.exit("the site has faults: see the messages above")


def sphinx_command(builder, src, out, doctrees):
    """Sphinx as this project calls it. It goes on after a warning, to show all of them, and then fails."""
    settings = ["--conf-dir", str(ROOT / "docs" / "builder"), "-d", str(doctrees)]
    return [sys.executable, "-m", "sphinx", "-q", "--fail-on-warning", "-b", builder, *settings, str(src), str(out)]


def _kernel_settings():
    """A folder with the kernels' settings: not the user's own, and no warning about a connection inside one machine."""
    profile = BUILD / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 'ERROR'\n", encoding="utf-8")
    return profile.parent


if __name__ == "__main__":
    main(sys.argv[1:])
