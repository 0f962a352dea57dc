"""Checks of the project: `nox -l` lists them, `nox -s NAME` runs one.

All sessions except `client_alone` and `audit` run in the environment of nox, which `make test` or
`uv sync --extra dev` sets up.
"""

import os
import resource
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "imports", "test", "check", "client_alone"]

# The tools are in the same folder as nox, even if their environment is not active.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# Tests start hundreds of Python processes; without cached bytecode each would compile all imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

UNITS = ["tests/unit"]
VULNERABILITIES = "https://pypi.org/pypi/{name}/{version}/json"
AUDITED = ["bootstrap", "build", "client", "service", "dev", "audit"]
PRODUCT = ["pylon", "pylon_client", "bridge", "pylon_devnet"]
CODE = [*PRODUCT, "bench", "tests", "scripts", "noxfile.py"]


@nox.session(venv_backend="none")
def test(session: nox.Session) -> None:
    """Run the unit tests. Arguments after `--` go to pytest and may select any other tests."""
    if any(_selects_tests(argument) for argument in session.posargs):
        _pytest(session, *_BY_FILE, *session.posargs)
    else:
        by_test = ("-n", str(_cores()), "--dist", "worksteal")
        _pytest(session, *by_test, "-m", "unit", *UNITS, *session.posargs)


@nox.session(venv_backend="none")
def check(session: nox.Session) -> None:
    """Run all tests except the unit tests. Arguments after `--` go to pytest."""
    _pytest(session, *_BY_FILE, "-m", "not unit", *session.posargs)


def _cores() -> int:
    return 2 if os.environ.get("CI") else os.cpu_count() or 1


# One more process than there are cores: tests of whole processes wait more than they compute.
# Files stay together for their fixtures, in the order of tests/conftest.py.
_BY_FILE = ("-n", str(_cores() + 1), "--dist", "loadfile", "--no-loadscope-reorder")


def _selects_tests(argument: str) -> bool:
    """Return whether an argument of pytest chooses tests: by path, by name or by marker."""
    return argument.startswith(("-k", "-m")) or Path(argument.partition("::")[0]).exists()


def _pytest(session: nox.Session, *arguments: str) -> None:
    began_s, began_cpu_s = time.monotonic(), _cpu_of_children_s()
    try:
        session.run("pytest", "--durations=10", *arguments)
    finally:
        wall_s, cpu_s = time.monotonic() - began_s, _cpu_of_children_s() - began_cpu_s
        session.log(f"Tests took {wall_s:.0f} s of wall time and {cpu_s:.0f} s of CPU time.")


def _cpu_of_children_s() -> float:
    """Return the CPU time of ended child processes and their children, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Measure Pylon's overhead, as ratios to minimal programs with the same libraries."""
    session.run(sys.executable, "-m", "bench", *session.posargs, external=True)


@nox.session(venv_backend="none")
def mutants(session: nox.Session) -> None:
    """Disable one defence after the other; tests of `tests/system/security` must fail each time."""
    session.run(
        sys.executable, "-m", "tests.system.security.mutants", *session.posargs, external=True
    )


@nox.session(venv_backend="none")
def attacks(session: nox.Session) -> None:
    """Attack the whole product for 25 minutes, beside honest callers, and print their results."""
    session.run(
        sys.executable, "-m", "tests.support.product.attack_run", *session.posargs, external=True
    )


@nox.session(name="format", venv_backend="none")
def format_code(session: nox.Session) -> None:
    """Format the code and fix linter findings that can be fixed automatically."""
    session.run("ruff", "check", "--fix", *CODE)
    session.run("ruff", "format", *CODE)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.run("pyright")


@nox.session(venv_backend="none")
def imports(session: nox.Session) -> None:
    """Check the import rules of docs/architecture.md."""
    session.run("lint-imports", "--no-cache")


@nox.session(venv_backend="virtualenv")
def audit(session: nox.Session) -> None:
    """Check the locked requirements for known vulnerabilities, with data of PyPI."""
    # A package mirror may lack this data, so test it with one locked package.
    first = Path("requirements/bootstrap.txt").read_text().split()[0]
    name, _, version = first.partition("==")
    url = VULNERABILITIES.format(name=name, version=version)
    try:
        urllib.request.urlopen(url, timeout=30).close()
    except OSError as error:
        session.error(f"No vulnerability data, so nothing was checked: {url}: {error}")
    uv = ("uv", "pip", "install", "--quiet", "--python", session.virtualenv.location)
    session.run(*uv, "--require-hashes", "-r", "requirements/audit.txt", external=True)
    locked = [f"--requirement=requirements/{name}.txt" for name in AUDITED]
    # All requirements are locked with hashes, so nothing must be resolved or installed.
    session.run("pip-audit", "--disable-pip", "--require-hashes", "--strict", *locked)


@nox.session(venv_backend="none")
def image(session: nox.Session) -> None:
    """Build the image with a container engine and test it; skipped without an engine."""
    session.run("pytest", "-rs", "tests/deploy/engine/check_image.py", *session.posargs)


@nox.session(venv_backend="none")
def compose(session: nox.Session) -> None:
    """Run docker-compose.yaml with a container engine and test it; skipped without an engine."""
    session.run("pytest", "-rs", "tests/deploy/engine/check_compose.py", *session.posargs)


@nox.session(venv_backend="none")
def licences(session: nox.Session) -> None:
    """Write docs/licences.md from the metadata of the installed packages."""
    session.run("python", "scripts/licences.py")


@nox.session(venv_backend="none")
def sbom(session: nox.Session) -> None:
    """Write sbom.cdx.json: the locked requirements of the service, with hashes and licences."""
    session.run("python", "scripts/sbom.py")


@nox.session(venv_backend="none")
def documents(session: nox.Session) -> None:
    """Generate files from the code and other sources: documents, alert rules, the Helm chart."""
    session.run("python", "scripts/documents.py")
    session.run("python", "scripts/prometheus_rule.py")
    session.run("python", "scripts/helm_chart.py")


@nox.session(venv_backend="virtualenv")
def client_alone(session: nox.Session) -> None:
    """Install the built wheel without extras and test that the client works alone."""
    with tempfile.TemporaryDirectory() as wheels:
        build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel")
        session.run(*build, "--directory", wheels, silent=True, external=True)
        (wheel,) = Path(wheels).glob("*.whl")
        uv = ("uv", "pip", "install", "--quiet", "--python", session.virtualenv.location)
        session.run(*uv, "--require-hashes", "-r", "requirements/client.txt", external=True)
        session.run(*uv, "--no-deps", str(wheel), external=True)
    # Run in another folder, so that the wheel is imported instead of the checkout.
    check = Path("tests/compat/client_alone.py").absolute()
    with session.chdir(session.create_tmp()):
        session.run("python", "-I", str(check))
