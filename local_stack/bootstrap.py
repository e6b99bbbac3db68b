"""Make or repair `.venv`: `make` runs this before every command; it ends at once if all is well.

It is a separate script that needs only the standard library and has the syntax of Python 3.6: an
older or newer `python3` must get far enough to find a supported one or to say what is missing.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STAMP_NAME = "millrace-stamp.json"
# For the jobs; with the embedded stack; with tests and linters. Each includes the one before.
JOBS_LOCK, LOCK, DEV_LOCK = LOCKS = (
    "requirements.lock",
    "requirements-embedded.lock",
    "requirements-dev.lock",
)
# Measured: .venv 0.65 GB, PySpark's build and pip's cache 0.75 GB more; then Java 0.06, jars 0.2
# (and as much in the Ivy cache), shells 0.4, and space for the services' data.
VENV_BYTES = 1400 * 1000 * 1000
LATER_BYTES = 1100 * 1000 * 1000
# A virtual environment refuses `:`, setuptools replaces `$x` and `{x}`, the others break quoting.
UNUSABLE = ':${}"`\\'
PROGRESS_SECONDS = 10
FAILURE_LINES = 15
# Increase it when the steps below change, so that existing set-ups are repeated.
STEPS_VERSION = 1


class BootstrapError(Exception):
    """The set-up cannot continue; the text says what happened, why, and what to do."""


def main(arguments: "list[str]") -> int:
    """Set up the virtual environment; `--dev` adds what tests and linters need.

    `--jobs-only` leaves out what only the embedded stack starts. `--packages-only` leaves out the
    project itself: an image layer that stays valid until the lock file changes.
    """
    # pip would count packages found there as installed here, and run with them.
    for name in ("PYTHONHOME", "PYTHONPATH"):
        os.environ.pop(name, None)
    lock = LOCK
    if "--dev" in arguments:
        lock = DEV_LOCK
    elif "--jobs-only" in arguments:
        lock = JOBS_LOCK
    try:
        # `make` blocks Ctrl-C until it can no longer cause a traceback.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        check_place(ROOT)
        ensure_python()
        if "--packages-only" in arguments:
            install_packages(ROOT, lock)
        else:
            ensure_environment(lock)
    except BootstrapError as error:
        sys.stderr.write(f"set-up: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(
            f"set-up: {error}. The set-up writes into `{ROOT}` and the temporary folder: check that"
            " there is space and that this user may write there; then run the command again.\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nset-up: interrupted; the next command continues it\n")
        return 130
    return 0


def supported_versions(pyproject: str) -> "list[tuple[int, int]]":
    """Python versions that `requires-python` allows, written there as `>=3.a,<3.b`."""
    found = re.search(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"', pyproject, re.MULTILINE)
    if not found:
        raise BootstrapError("pyproject.toml has no `requires-python` of the form `>=3.a,<3.b`.")
    return [(3, minor) for minor in range(int(found.group(1)), int(found.group(2)))]


def ensure_python() -> None:
    """Continue under a supported Python: this one, or one found on PATH.

    Raises:
        BootstrapError: there is none.
    """
    versions = supported_versions(_read("pyproject.toml"))
    here = tuple(sys.version_info[:2])
    if here in versions:
        return
    for version in versions:
        path = shutil.which(f"python{dotted(version)}")
        # The name alone proves nothing: version managers keep launchers for absent versions.
        if path and python_version(path) == version:
            say(f"Python {dotted(here)} is not supported; using {path}")
            os.execv(path, [path, *sys.argv])  # noqa: S606 - no shell needed
    names = " or ".join(dotted(version) for version in versions)
    raise BootstrapError(
        f"Millrace needs Python {names}, but `{sys.executable}` is {dotted(here)} and PATH has no"
        " other.\nInstall one (Debian: `apt install python3.11 python3.11-venv`), or give its path:"
        " `PYTHON=/path/to/python3.11 make …`."
    )


def dotted(version: "tuple[int, ...]") -> str:
    """A version as text, such as 3.11."""
    return ".".join(str(part) for part in version)


def python_version(path: str) -> "tuple[int, int] | None":
    """Major and minor version of a Python command; None when it does not run."""
    program = "import sys; print('%d %d' % sys.version_info[:2])"
    try:
        answer = subprocess.check_output([path, "-c", program], stderr=subprocess.DEVNULL)
        major, minor = answer.split()
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
    return int(major), int(minor)


def check_place(root: str) -> None:
    """Refuse a folder whose name has characters with a meaning for pip or virtual environments.

    Raises:
        BootstrapError: names the characters.
    """
    found = sorted({each for each in root if each in UNUSABLE or ord(each) < 32})
    if found:
        raise BootstrapError(
            f"the checkout's folder {root!a} has {' '.join(map(ascii, found))} in its name, which"
            " pip or virtual environments cannot handle. Move it to another folder."
        )


def ensure_environment(lock: str, root: str = ROOT) -> None:
    """Install at least what the lock file says into `.venv`, unless its stamp says it is done.

    Raises:
        BootstrapError: no venv module, no space, or pip failed.
    """
    if is_current(root, lock):
        return
    # The folder itself is the lock, so that only one command at a time writes the environment.
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not is_current(root, lock):
            _set_up(root, lock)
    finally:
        os.close(descriptor)


def is_current(root: str, lock: str) -> bool:
    """Whether the stamp in `.venv` is for this folder and this lock file or a larger one."""
    try:
        with open(os.path.join(root, ".venv", STAMP_NAME), encoding="utf-8") as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return False
    installed = stamp.get("lock")
    covers = installed in LOCKS[LOCKS.index(lock) :]
    # The Python that it was made with may have been removed.
    covers = covers and os.access(os.path.join(root, ".venv", "bin", "python"), os.X_OK)
    return covers and stamp.get("hash") == fingerprint(root, installed)


def fingerprint(root: str, lock: str) -> str:
    """Hash of everything that determines the environment; its scripts contain the folder's path."""
    digest = hashlib.sha256(f"{STEPS_VERSION}\n{root}\n".encode())
    for name in ("pyproject.toml", lock):
        with open(os.path.join(root, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def _set_up(root: str, lock: str) -> None:
    started = time.time()
    venv = os.path.join(root, ".venv")
    python = os.path.join(venv, "bin", "python")
    stamp_path = os.path.join(venv, STAMP_NAME)
    # Until the last step is done, nothing may say that it is.
    if os.path.exists(stamp_path):
        os.unlink(stamp_path)
    install_packages(root, lock)
    say("installing the `millrace` command")
    pip(python, ["--no-deps", "--no-build-isolation", "-e", "."], root)
    with open(stamp_path + ".new", "w", encoding="utf-8") as file:
        json.dump({"hash": fingerprint(root, lock), "lock": lock}, file)
    os.replace(stamp_path + ".new", stamp_path)
    say(f"done after {time.time() - started:.0f} s")


def install_packages(root: str, lock: str) -> None:
    """Make `.venv` if necessary and install what the lock file says.

    Raises:
        BootstrapError: no venv module, no space, or pip failed.
    """
    venv = os.path.join(root, ".venv")
    python = os.path.join(venv, "bin", "python")
    versions = supported_versions(_read("pyproject.toml", root))
    if python_version(python) not in versions or not _succeeds([python, "-m", "pip", "--version"]):
        check_space(root)
        say(f"making .venv with Python {dotted(sys.version_info[:2])}")
        make_venv(venv)
    say(f"installing {lock} (the first time: a download of 400 MB, some minutes)")
    # PySpark comes as source; its build uses the pinned setuptools instead of downloading one.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(locked_requirement(_read(lock, root), "setuptools"))
        file.flush()
        pip(python, ["--require-hashes", "-r", file.name], root)
    pip(python, ["--require-hashes", "--no-build-isolation", "-r", lock], root)


def check_space(root: str) -> None:
    """Refuse to start a set-up for which the disk is too small.

    Raises:
        BootstrapError: the disk has too little free space.
    """
    free = shutil.disk_usage(root).free
    needed = VENV_BYTES + LATER_BYTES
    if free < needed:
        raise BootstrapError(
            f"{free / 1e9:.1f} GB free in `{root}`, {needed / 1e9:.1f} GB needed:"
            f" {VENV_BYTES / 1e9:.1f} for .venv, {LATER_BYTES / 1e9:.1f} for jars and the services'"
            " data.\nFree some space, or move the checkout to a larger disk."
        )


def make_venv(venv: str) -> None:
    """Make an empty virtual environment with pip, with `venv` or else `virtualenv`.

    Raises:
        BootstrapError: neither works here.
    """
    ways = []
    # Debian's `venv` has no `ensurepip` until a package is installed.
    if _succeeds([sys.executable, "-c", "import ensurepip, venv"]):
        ways.append([sys.executable, "-m", "venv", "--clear", venv])
    if _succeeds([sys.executable, "-m", "virtualenv", "--version"]):
        ways.append([sys.executable, "-m", "virtualenv", "--clear", venv])
    if shutil.which("virtualenv"):
        ways.append(["virtualenv", "--clear", "--python", sys.executable, venv])
    lines = []  # type: list[str]
    for way in ways:
        status, lines = run_showing_progress(way, "making .venv")
        if status == 0:
            return
    reason = "\n".join(lines[-FAILURE_LINES:]) or "the modules venv and ensurepip are missing"
    raise BootstrapError(
        f"`{sys.executable}` cannot make a virtual environment: {reason}.\nInstall its venv module"
        f" (Debian: `apt install python{dotted(sys.version_info[:2])}-venv`) or `virtualenv`, then"
        " run the command again."
    )


def locked_requirement(lock: str, name: str) -> str:
    """One package of a lock file, with its hashes."""
    found = re.search(rf"^{re.escape(name)}==.*\n(?:[ \t]+.*\n?)*", lock, re.MULTILINE)
    if not found:
        raise BootstrapError(f"the lock file has no `{name}`; `make lock` writes it again.")
    return found.group(0)


def pip(python: str, arguments: "list[str]", root: str) -> None:
    """Run `pip install`, quietly unless it fails.

    Raises:
        BootstrapError: pip failed; its last lines say why.
    """
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--progress-bar", "off", *arguments]
    status, lines = run_showing_progress(command, "pip", root)
    if status:
        tail = "\n  ".join(lines[-FAILURE_LINES:])
        raise BootstrapError(
            f"pip could not install the packages (exit code {status}). Its last lines:\n  {tail}\n"
            "If they mention connections, check that this machine reaches its package index (proxy:"
            " HTTPS_PROXY, PIP_INDEX_URL), then run the command again; downloaded files are kept."
        )


def run_showing_progress(
    command: "list[str]", label: str, folder: str = ROOT
) -> "tuple[int, list[str]]":
    """Run a command, collect its output, and report progress now and then."""
    # A personal configuration may request --user, which virtual environments do not allow.
    environment = dict(os.environ, PIP_USER="0", PYTHONUNBUFFERED="1")
    lines = []  # type: list[str]
    started = reported = time.time()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            now = time.time()
            if now - reported >= PROGRESS_SECONDS and line.strip():
                say(f"  {label}, {now - started:.0f} s: {line.strip()[:70]}")
                reported = now
    return process.returncode, lines


def say(text: str) -> None:
    """Show a line to the user at once."""
    sys.stderr.write(f"set-up: {text}\n")
    sys.stderr.flush()


def _succeeds(command: "list[str]") -> bool:
    try:
        return not subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False


def _read(name: str, root: str = ROOT) -> str:
    with open(os.path.join(root, name), encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
