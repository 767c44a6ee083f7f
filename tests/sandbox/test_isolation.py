"""The proof that nothing but the loopback is reached, in network namespaces of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROOF = """
import sys
from pytest_cobbler.errors import SandboxError
from pytest_cobbler.sandbox.isolation import addresses_of_a_pod, prove_isolation
try:
    prove_isolation([*addresses_of_a_pod(), ("10.96.0.1", 443), *eval(sys.argv[1])])
except SandboxError as error:
    print(error.cause)
"""
ALONE = ["unshare", "--map-root-user", "--net", "sh", "-euc"]


@pytest.fixture(autouse=True)
def can_unshare() -> None:
    if subprocess.run([*ALONE, "ip link set lo up"], capture_output=True).returncode != 0:
        pytest.skip("needs network namespaces and ip")


def proof(preparation: str, addresses: str = "[]") -> str:
    """What refuses the namespace after ``preparation``; empty if nothing does."""
    script = f'{preparation}\nexec "$@"'
    environment = {"KUBERNETES_SERVICE_HOST": "10.96.0.2", "COBBLER_NODE_ADDRESS": "10.99.0.1"}
    asked = subprocess.run(
        [*ALONE, script, "sh", sys.executable, "-c", PROOF, addresses],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return asked.stdout.strip()


def test_a_namespace_with_a_loopback_alone_is_isolated() -> None:
    assert proof("ip link set lo up") == ""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_that_refuses_has_been_reached(address: str) -> None:
    why = proof("ip link set lo up", f"[({address!r}, 9)]")
    assert why.startswith(f"jobs would reach {address}:9 (")


def test_an_interface_that_is_up_is_a_network() -> None:
    up = "ip link add one type veth peer name two; ip link set one up"
    assert proof(up) == "jobs would have a network (one)"
    assert proof(f"{up}; ip link set one down; ip link set lo up") == ""
