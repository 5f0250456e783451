"""Who gets in: goim's JSON with all its leniency, and signed tokens."""
import base64
import hashlib
import hmac
import json
import time

import pytest

from goim_client import AUTH, HEARTBEAT, SLOW, SUB

SECRET = b"a secret of more than thirty-two bytes, for HS256"


# ---- goim's token (row 3 of the compatibility list) ---------------------------------------------
@pytest.mark.parametrize("body", [
    b"{}", b"null", b' {"mid": 1} ', b'{"MID":7,"Key":"s1203k","ROOM_ID":"live://1"}',
    b'{"unknown":{"deep":[1,{"x":null}]},"mid":3}', b'{"mid":0}', b'{"mid":-1}',
    b'{"accepts":[]}', b'{"accepts":null,"key":null}', b'{"mid":1,"mid":2}',
    b'{"key":"","room_id":""}', '{"room_id":"live://房间","key":"ключ"}'.encode(),
    b'{"platform":"web"}', b'{"mid":9223372036854775807}',
])
def test_s12_03_accepted_tokens(cluster, transport, body):
    cluster.client(transport).auth_with(body)


@pytest.mark.parametrize("body", [
    b"", b"1,424", b"[]", b'{"mid":1', b'{"mid":1}x', b'{"mid":1}{}', b'{"mid":"1"}',
    b'{"mid":1.5}', b'{"accepts":"1000"}', b'{"accepts":[1.5]}', b'{"accepts":[3000000000]}',
    b'{"mid":9223372036854775808}', b'{"key":5}', b"true", b'"text"', b"12", b"{'mid':1}",
])
def test_s12_03_refused_tokens_close_without_a_reply(cluster, transport, body):
    client = cluster.client(transport)
    client.send(AUTH, body)
    assert client.gone() == []


def test_s12_03_names_in_any_case_count(cluster, backend, transport):
    client = cluster.client(transport)
    client.auth_with(b'{"MID":71203,"ROOM_ID":"live://s1203%s","Accepts":[1000]}'
                     % transport.encode())
    backend.room(f"s1203{transport}", "room")
    backend.mids(71203, "mid")
    assert sorted(client.push_bodies(2)) == [b"mid", b"room"]


def test_s12_03_before_auth_packages_are_skipped(cluster, transport):
    client = cluster.client(transport)
    for op in (HEARTBEAT, SUB, 4, 12, 1000):
        client.send(op, b"1000")
    client.auth()  # the first reply is the one to the auth


def test_s12_03_handshake_timeout(cluster, transport):
    """The shared cluster waits 3 s; packages that are no auth do not buy time."""
    client = cluster.client(transport)
    start = time.monotonic()
    client.send(HEARTBEAT)
    assert client.gone(8) == []
    assert 2 < time.monotonic() - start < 6 * SLOW


def test_s12_03_handshake_timeout_covers_the_upgrade(cluster):
    client = cluster.client("ws", upgrade=False)
    start = time.monotonic()
    client.sock.sendall(b"GET /sub HTTP/1.1\r\n")
    client.sock.settimeout(8 * SLOW)
    while client.sock.recv(4096):
        pass
    assert 2 < time.monotonic() - start < 6 * SLOW


def test_s12_03_second_auth_is_an_unknown_operation(cluster, backend, transport):
    client = cluster.client(transport).auth(mid=71207)
    reply = client.request(AUTH, b'{"mid":71208}')
    assert (reply.op, reply.body) == (AUTH, b"")
    backend.mids(71208, "to nobody")
    backend.mids(71207, "still me")
    assert client.push().body == b"still me"


# ---- signed tokens ------------------------------------------------------------------------------
def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def sign(claims, header=None, secret=SECRET):
    header = {"alg": "HS256", "typ": "JWT"} if header is None else header
    signed = b64(json.dumps(header).encode()) + b"." + b64(json.dumps(claims).encode())
    return signed + b"." + b64(hmac.new(secret, signed, hashlib.sha256).digest())


def claims(**more):
    return {"sub": "5001", "exp": int(time.time()) + 600, **more}


@pytest.fixture(scope="module")
def jwt_cluster(tmp_path_factory):
    """Heartbeats are short here too, because nothing else needs them to be long."""
    from cluster import Cluster
    key = tmp_path_factory.mktemp("keys") / "app.secret"
    key.write_bytes(SECRET)
    with Cluster(1, 1, 1, {"ENCKE_AUTH_MODE": "jwt", "ENCKE_AUTH_JWT_KEYS": str(key),
                            "ENCKE_AUTH_JWT_ISSUER": "", "ENCKE_AUTH_JWT_LEEWAY": "5s",
                            "ENCKE_NODE_HEARTBEAT": "1s", "ENCKE_NODE_HEARTBEAT_MAX": "2"}) as one:
        yield one


@pytest.mark.parametrize("wrapped", [False, True])
def test_jwt_valid_token_is_who_it_says(jwt_cluster, transport, wrapped):
    room = f"live://jwt{transport}{wrapped}"
    token = sign(claims(room=room, accepts=[1000]))
    # Beside a token the JSON cannot choose another user.
    body = json.dumps({"mid": 666, "token": token.decode()}).encode() if wrapped else token
    client = jwt_cluster.client(transport).auth_with(body)
    jwt_cluster.backend().mids(666, "to the impostor")
    jwt_cluster.backend().mids(5001, "to the subject")
    jwt_cluster.backend().push("room", b"to the room", operation=1000, type="live",
                               room=room.removeprefix("live://"))
    assert sorted(client.push_bodies(2)) == [b"to the room", b"to the subject"]
    client.close()


def test_jwt_key_of_another_user_is_refused(jwt_cluster, transport):
    """A key that the token does not name is a wish: granted when it is free or one's own."""
    def body(sub, **chosen):
        token = sign(claims(sub=sub, accepts=[1000]))
        return json.dumps({**chosen, "token": token.decode()}).encode()

    key = f"wished-{transport}"
    owner = jwt_cluster.client(transport).auth_with(body("7001", key=key))
    thief = jwt_cluster.client(transport)
    thief.send(AUTH, body("7002", key=key))
    assert thief.gone() == []
    backend = jwt_cluster.backend()
    backend.keys(key, "still mine")
    assert owner.push().body == b"still mine"
    again = jwt_cluster.client(transport).auth_with(body("7001", key=key))
    backend.keys(key, "mine again")
    assert again.push().body == b"mine again"
    named = sign(claims(sub="7002", key=key, accepts=[1000]))  # the issuer may do so
    heir = jwt_cluster.client(transport).auth_with(named)
    backend.keys(key, "given away")
    assert heir.push().body == b"given away"
    assert jwt_cluster.logics[0].metric(
        'encke_logic_sessions_total{event="key_refused"}') >= 1


@pytest.mark.parametrize("what, token", [
    ("no token at all", lambda: b'{"mid":5001}'),
    ("nothing", lambda: b""),
    ("expired", lambda: sign(claims(exp=int(time.time()) - 60))),
    ("without exp", lambda: sign({"sub": "5001"})),
    ("not yet valid", lambda: sign(claims(nbf=int(time.time()) + 600))),
    ("another secret", lambda: sign(claims(), secret=b"another secret of thirty-two bytes!!")),
    ("alg none", lambda: b64(b'{"alg":"none"}') + b"." + b64(json.dumps(claims()).encode()) + b"."),
    ("alg none, signed", lambda: sign(claims(), header={"alg": "none"})),
    ("another alg", lambda: sign(claims(), header={"alg": "HS512"})),
    ("alg in other case", lambda: sign(claims(), header={"alg": "hs256"})),
    ("sub is text", lambda: sign(claims(sub="someone"))),
    ("payload changed", lambda: b".".join([sign(claims()).split(b".")[0],
                                           b64(json.dumps(claims(sub="1")).encode()),
                                           sign(claims()).split(b".")[2]])),
    ("signature cut", lambda: sign(claims())[:-4]),
    ("two parts", lambda: sign(claims()).rsplit(b".", 1)[0]),
])
def test_jwt_refused(jwt_cluster, transport, what, token):
    client = jwt_cluster.client(transport)
    client.send(AUTH, token())
    assert client.gone() == [], what
    if transport == "ws":
        assert client.close_code == 3500


# ---- heartbeat deadline -------------------------------------------------------------------------
def test_s12_04_silence_closes_and_only_heartbeats_count(jwt_cluster, transport):
    silent = jwt_cluster.client(transport).auth_with(sign(claims()))
    beating = jwt_cluster.client(transport).auth_with(sign(claims()))
    start, ended = time.monotonic(), None
    while ended is None and time.monotonic() - start < 8 * SLOW:
        beating.heartbeat()
        try:
            silent.request(4, b"talking is no heartbeat")
        except Exception:
            ended = time.monotonic() - start
        time.sleep(0.2)
    assert ended is not None and 1.5 < ended < 5 * SLOW, ended
    beating.heartbeat()
