"""The same protocol behind TLS: the WSS and the TCP door, certificates by name, reload."""
import contextlib
import signal
import ssl
import subprocess

import pytest

from cluster import Cluster, wait_until
from goim_client import Closed, Collector, TcpClient, WsClient


def make_certificate(folder, name, days="1"):
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                    "-days", days, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"],
                   check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs")
    return {name: make_certificate(folder, name) for name in ("localhost", "other.example")}


@pytest.fixture(scope="module")
def tls_cluster(certificates):
    certs, keys = zip(*certificates.values())
    with Cluster(1, 1, 1, {"ENCKE_TLS_CERT_FILES": ",".join(map(str, certs)),
                            "ENCKE_TLS_KEY_FILES": ",".join(map(str, keys))}) as one:
        yield one


def trusting(*certs):
    context = ssl.create_default_context()
    for cert in certs:
        context.load_verify_locations(cert)
    return context


def dial(cluster, door, context, **options):
    kind = WsClient if door == "wss" else TcpClient
    return kind(cluster.comets[0].doors[door], tls=context, **options)


@pytest.mark.parametrize("door", ["wss", "tls"])
def test_talking_behind_tls(tls_cluster, certificates, door):
    context = trusting(certificates["localhost"][0])
    with dial(tls_cluster, door, context).auth(room=f"live://{door}") as client:
        backend, reading = tls_cluster.backend(), Collector(client)
        for i in range(200):
            backend.room(door, b"%d " % i + b"." * (i * 97))
        assert reading.wait_for(lambda r: len(r.got) == 200, 20), (
            len(reading.got), tls_cluster.comets[0].metric("encke_comet_dropped_total"))
        assert [int(body.split()[0]) for body in reading.bodies()] == list(range(200))
        reading.stop()
        for _ in range(300):
            client.send(2)
        assert [client.reply().op for _ in range(300)] == [3] * 300


@pytest.mark.parametrize("door", ["wss", "tls"])
def test_certificate_is_chosen_by_name(tls_cluster, certificates, door):
    context = trusting(certificates["other.example"][0])
    with dial(tls_cluster, door, context, name="other.example") as client:
        client.auth()
    with pytest.raises(ssl.SSLCertVerificationError):
        dial(tls_cluster, door, context, name="localhost")


@pytest.mark.parametrize("door", ["wss", "tls"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_of_tls(tls_cluster, certificates, door, version):
    context = trusting(certificates["localhost"][0])
    context.minimum_version = context.maximum_version = version
    with dial(tls_cluster, door, context) as client:
        client.auth()
        assert client.sock.version() == version.name.replace("_", ".")


def test_plain_bytes_on_a_tls_door_are_refused(tls_cluster):
    with TcpClient(tls_cluster.comets[0].tls) as client:
        client.send(7, b"{}")
        # An alert may come before the end; it is no package, so only the end is waited for.
        client.sock.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            while client.sock.recv(4096):
                pass


def test_a_new_certificate_is_taken_on_sighup(tls_cluster, certificates):
    old_cert, key = certificates["localhost"]
    stays = dial(tls_cluster, "tls", trusting(old_cert)).auth(key="stays")
    fresh, fresh_key = make_certificate(old_cert.parent, "localhost", days="2")
    assert (fresh, fresh_key) == (old_cert, key)  # same files, new contents
    tls_cluster.comets[0].child.send_signal(signal.SIGHUP)

    def renewed():
        try:
            dial(tls_cluster, "tls", trusting(fresh)).auth().close()
            return True
        except (ssl.SSLError, Closed, ConnectionResetError):
            return False

    wait_until(renewed, 5, "the new certificate is shown")
    stays.heartbeat()  # and those who are inside stay
    stays.close()
