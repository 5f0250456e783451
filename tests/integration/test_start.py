"""A bad start is one clear line and exit status 2."""
import os
import resource
import socket
import subprocess

import pytest

from cluster import BUILD, HOST, ROOT, free_port

KINDS = ["comet", "logic", "job"]


def run(kind, config=None, *arguments, env=None):
    config = config or ROOT / "configs" / f"{kind}.yaml"
    return subprocess.run([BUILD / kind, "--config", config, *arguments], capture_output=True,
                          text=True, timeout=20, env={**os.environ, **(env or {})})


def check_refused(result, *words):
    assert result.returncode == 2, (result.returncode, result.stderr)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0], lines[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text, words", [
    ("no_such_section:\n  key: 1\n", ["no_such_section"]),
    ("log:\n  level: shouting\n", ["log.level", "shouting"]),
    ("log:\n  level: info\n  levle: info\n", ["log.levle"]),
    ("nats:\n  call_timeout: soon\n", ["nats.call_timeout", "soon"]),
    ("log: [1, 2\n", []),
])
def test_bad_config(tmp_path, kind, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    check_refused(run(kind, path), *words)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_environment(kind):
    check_refused(run(kind, env={"ENCKE_LOG_LEVEL": "loud"}), "ENCKE_LOG_LEVEL", "loud")


@pytest.mark.parametrize("kind", KINDS)
def test_missing_config_file(kind):
    check_refused(run(kind, "/nowhere/at/all.yaml"), "/nowhere/at/all.yaml")


@pytest.mark.parametrize("kind", KINDS)
def test_check_config_accepts_what_we_ship(kind):
    result = run(kind, None, "--check-config")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("kind, door", [("comet", "tcp"), ("comet", "ws"), ("comet", "grpc"),
                                        ("comet", "admin"), ("logic", "http"), ("logic", "grpc"),
                                        ("logic", "admin"), ("job", "admin")])
def test_port_in_use(shared_cluster, kind, door):
    doors = {d: free_port() for d in ("tcp", "ws", "grpc", "admin", "http", "push_grpc")}
    env = {f"ENCKE_{d.upper()}_LISTEN": f"{HOST}:{port}" for d, port in doors.items()}
    env |= {"ENCKE_NATS_SERVERS": f"nats://{HOST}:{shared_cluster.nats_port}",
            "ENCKE_REDIS_ADDRESS": f"{HOST}:{shared_cluster.redis_port}",
            f"ENCKE_{kind.upper()}_ID": "intruder", "ENCKE_LOG_LEVEL": "error"}
    with socket.socket() as taken:
        taken.bind((HOST, doors[door]))
        taken.listen()
        check_refused(run(kind, env=env), str(doors[door]))


def test_open_door_without_api_key_is_refused(shared_cluster):
    """The push API must not face the world without a key."""
    env = {"ENCKE_HTTP_LISTEN": f"0.0.0.0:{free_port()}", "ENCKE_LOG_LEVEL": "error",
           "ENCKE_GRPC_LISTEN": f"{HOST}:{free_port()}",
           "ENCKE_PUSH_GRPC_LISTEN": f"{HOST}:{free_port()}",
           "ENCKE_ADMIN_LISTEN": f"{HOST}:{free_port()}",
           "ENCKE_NATS_SERVERS": f"nats://{HOST}:{shared_cluster.nats_port}",
           "ENCKE_REDIS_ADDRESS": f"{HOST}:{shared_cluster.redis_port}"}
    check_refused(run("logic", env=env), "http.listen")


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_argument(kind):
    check_refused(run(kind, None, "--no-such-thing"), "usage:", "--config FILE")


def test_more_connections_than_open_files_are_refused():
    """The line names the settings to change."""
    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000))

    result = subprocess.run([BUILD / "comet", "--config", ROOT / "configs/comet.yaml"],
                            env={**os.environ, "ENCKE_SESSION_CONNECTIONS_MAX": "2000"},
                            capture_output=True, text=True, timeout=20, preexec_fn=few_files)
    check_refused(result, "session.connections_max", "2000", "LimitNOFILE", "fs.nr_open")
