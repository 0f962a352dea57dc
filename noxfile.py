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

# The tools are in the folder of the running nox, even if its environment is not active.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# Tests start hundreds of Python processes; without cached bytecode each would compile all imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

UNITS = ["tests/unit"]
VULNERABILITIES = "https://pypi.org/pypi/{name}/{version}/json"
PROJECTS = ["distributions/client", "."]
AUDITED = ["bootstrap", "build", "client", "service", "dev", "audit"]
PRODUCT = ["pylon", "pylon_client", "bridge", "pylon_devnet"]
CODE = [*PRODUCT, "bench", "tests", "scripts", "noxfile.py"]


@nox.session(venv_backend="none")
def test(session: nox.Session) -> None:
    """Run the unit tests; pass arguments after `--` to pytest, which may select other tests."""
    if any(_selects_tests(argument) for argument in session.posargs):
        _pytest(session, *_BY_FILE, *session.posargs)
    else:
        by_test = ("-n", str(_cores()), "--dist", "worksteal")
        _pytest(session, *by_test, "-m", "unit", *UNITS, *session.posargs)


@nox.session(venv_backend="none")
def check(session: nox.Session) -> None:
    """Run all tests except the unit tests; pass arguments after `--` to pytest."""
    _pytest(session, *_BY_FILE, "-m", "not unit", *session.posargs)


@nox.session(venv_backend="none")
def soak(session: nox.Session) -> None:
    """Run the slow tests at full size, one after the other; pass arguments after `--` to pytest."""
    os.environ["PYLON_TESTS_FULL_SIZE"] = "1"
    _pytest(session, "-m", "slow", *session.posargs)


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
    """Return the CPU time of ended children and their awaited descendants, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Measure the overhead of Pylon, as ratios to its bare parts."""
    session.run(sys.executable, "-m", "bench", *session.posargs, external=True)


@nox.session(venv_backend="none")
def mutants(session: nox.Session) -> None:
    """Disable one defence at a time; tests of `tests/system/security` must fail each time."""
    session.run(
        sys.executable, "-m", "tests.system.security.mutants", *session.posargs, external=True
    )


@nox.session(venv_backend="none")
def attacks(session: nox.Session) -> None:
    """Attack the product for 25 minutes, beside honest callers, and print their results."""
    session.run(
        sys.executable, "-m", "tests.support.product.attack_run", *session.posargs, external=True
    )


@nox.session(name="format", venv_backend="none")
def format_code(session: nox.Session) -> None:
    """Format the code and apply the automatic fixes of the linter."""
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
    """Check the import rules of the architecture."""
    session.run("lint-imports", "--no-cache")


@nox.session(venv_backend="virtualenv")
def audit(session: nox.Session) -> None:
    """Look for known vulnerabilities of the locked requirements; needs PyPI's data about them."""
    # A mirror may have the packages without this data, so request that of a locked package.
    first = Path("requirements/bootstrap.txt").read_text().split()[0]
    name, _, version = first.partition("==")
    url = VULNERABILITIES.format(name=name, version=version)
    try:
        urllib.request.urlopen(url, timeout=30).close()
    except OSError as error:
        session.error(f"No vulnerabilities were looked up: {url} is not available: {error}")
    uv = ("uv", "pip", "install", "--quiet", "--python", session.virtualenv.location)
    session.run(*uv, "--require-hashes", "-r", "requirements/audit.txt", external=True)
    locked = [f"--requirement=requirements/{name}.txt" for name in AUDITED]
    # All requirements are locked with hashes, so nothing has to be resolved or installed.
    session.run("pip-audit", "--disable-pip", "--require-hashes", "--strict", *locked)


@nox.session(venv_backend="none")
def image(session: nox.Session) -> None:
    """Build the image on a container engine and test it there; skipped if none starts."""
    session.run("pytest", "-rs", "tests/deploy/engine/check_image.py", *session.posargs)


@nox.session(venv_backend="none")
def compose(session: nox.Session) -> None:
    """Run the composition on a container engine; skipped if none starts."""
    session.run("pytest", "-rs", "tests/deploy/engine/check_compose.py", *session.posargs)


@nox.session(venv_backend="none")
def licences(session: nox.Session) -> None:
    """Write docs/licences.md, from the metadata of the installed packages."""
    session.run("python", "scripts/licences.py")


@nox.session(venv_backend="none")
def sbom(session: nox.Session) -> None:
    """Write sbom.cdx.json: the locked requirements of the service, with hashes and licences."""
    session.run("python", "scripts/sbom.py")


@nox.session(venv_backend="none")
def documents(session: nox.Session) -> None:
    """Write the generated files: versions, documents, alert rules, the Helm chart."""
    session.run("python", "scripts/version.py")
    session.run("python", "scripts/documents.py")
    session.run("python", "scripts/prometheus_rule.py")
    session.run("python", "scripts/helm_chart.py")


@nox.session(venv_backend="virtualenv")
def client_alone(session: nox.Session) -> None:
    """Build both wheels; check that the client works alone, and the service with it."""
    check = str(Path("tests/compat/client_alone.py").absolute())
    install = ("uv", "pip", "install", "--quiet", "--python", session.virtualenv.location)
    # From another folder, so that the wheels are imported and not the checkout.
    elsewhere = session.create_tmp()
    with tempfile.TemporaryDirectory() as wheels:
        build = ("uv", "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", wheels)
        for project in PROJECTS:
            session.run(*build, "--python", sys.executable, project, external=True)
        for name in ("client", "service"):
            locked = ("--require-hashes", "-r", f"requirements/{name}.txt")
            session.run(*install, *locked, external=True)
            (wheel,) = Path(wheels).glob(f"pylon_{name}-*.whl")
            session.run(*install, "--no-deps", str(wheel), external=True)
            with session.chdir(elsewhere):
                session.run("python", "-I", check, name)
    session.run("uv", "pip", "check", "--python", session.virtualenv.location, external=True)
    with session.chdir(elsewhere):
        session.run("pylon", "--help", silent=True)
