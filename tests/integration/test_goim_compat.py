"""What existing goim clients and backends see: the rows that must match, byte for byte.

Test names carry the row of the compatibility list: s12_01 to s12_09 here and in test_auth.py and
test_http_api.py; what Encke does better is in test_goim_improved.py.
"""
import json
import struct
import time

import pytest

from goim_client import AUTH, CHANGE_ROOM, HEARTBEAT, SUB, UNSUB, Closed, encode

AUTH_BYTES = (b'{"mid":123, "room_id":"live://1000", "platform":"web",'
              b' "accepts":[1000,1001,1002]}')


def read_exactly(client, count, timeout=10):
    """Raw bytes from the socket, past the client's own parser."""
    client.sock.settimeout(timeout)
    data, client.data = client.data, b""
    while len(data) < count:
        got = client.sock.recv(count - len(data))
        if not got:
            raise Closed()
        data += got
    return data


# -- 1: header layout; ver and seq are echoed, pushes carry ver 1 and seq 0 -----------------------
def test_s12_01_auth_and_heartbeat_byte_vectors(cluster):
    client = cluster.client("tcp")
    client.send_raw(bytes.fromhex("00000062 0010 0001 00000007 00000001") + AUTH_BYTES)
    assert len(AUTH_BYTES) == 82
    assert read_exactly(client, 16).hex() == "00000010001000010000000800000001"
    client.send_raw(bytes.fromhex("00000010 0010 0001 00000002 00000001"))
    assert read_exactly(client, 20)[:16].hex() == "00000014001000010000000300000001"


@pytest.mark.parametrize("ver", [0, 1, 2, -1, 32767])
@pytest.mark.parametrize("seq", [1, 2 ** 31 - 1, -7])
def test_s12_01_header_echo(cluster, transport, ver, seq):
    client = cluster.client(transport).auth()
    for op, answer in [(HEARTBEAT, 3), (CHANGE_ROOM, 13), (SUB, 15), (UNSUB, 17), (4, 4)]:
        client.send(op, b"", ver=ver, seq=seq)
        reply = client.reply()
        assert (reply.op, reply.ver, reply.seq) == (answer, ver, seq)


def test_s12_01_auth_echoes_version_and_sequence(cluster, transport):
    client = cluster.client(transport)
    client.send(AUTH, b"{}", ver=9, seq=-3)
    assert client.reply() == (9, 8, -3, b"")


def test_s12_01_sequence_zero_is_answered(cluster):
    """The bench client authenticates with sequence 0."""
    client = cluster.client("tcp")
    client.send_raw(encode(AUTH, 0, b"{}", ver=1))
    assert read_exactly(client, 16).hex() == "00000010001000010000000800000000"


def test_s12_01_pushes_carry_version_1_and_sequence_0(cluster, backend, transport):
    client = cluster.client(transport)
    client.send(AUTH, b'{"key":"s1201-%b","accepts":[1000]}' % transport.encode(), ver=7, seq=99)
    assert client.reply().ver == 7
    backend.keys(f"s1201-{transport}", "hi")
    assert client.push() == (1, 1000, 0, b"hi")  # and the client checks every other push too


# -- 2: TCP unwrapped, WebSocket always wrapped in op 9; one outer package per frame; binary ------
def test_s12_02_push_bytes_tcp(cluster, backend):
    client = cluster.client("tcp").auth(room="live://s1202t")
    backend.room("s1202t", "hi")
    assert read_exactly(client, 18).hex() == "0000001200100001000003e8000000006869"


def test_s12_02_push_bytes_ws(cluster, backend):
    client = cluster.client("ws").auth(room="live://s1202w")
    backend.room("s1202w", "hi")
    assert read_exactly(client, 36).hex() == (
        "8222" "00000022001000010000000900000000" "0000001200100001000003e8000000006869")


def test_s12_02_every_kind_of_push_is_wrapped_on_ws(cluster, backend):
    client = cluster.client("ws").auth(mid=120203, key="s1202k", room="live://s1202k",
                                       accepts=[1000, 1777])
    backend.keys("s1202k", "by key")
    backend.mids(120203, "by mid")
    backend.room("s1202k", "by room")
    backend.everybody("to all", operation=1777)
    # The four ways may overtake each other: they are different partitions of the log.
    assert sorted(client.push_bodies(4)) == [b"by key", b"by mid", b"by room", b"to all"]
    assert client.envelopes >= 1


# A frame holds 32 bytes more: both sides of where its length takes another form, 126 and 65,536.
@pytest.mark.parametrize("size", [0, 1, 93, 94, 95, 109, 110, 125, 126, 4096, 10_000, 65_503,
                                  65_504, 65_520, 200_000])
def test_s12_02_pushes_of_any_size_arrive_whole(cluster, backend, transport, size):
    client = cluster.client(transport).auth(room=f"live://size{size}{transport}")
    body = bytes(i * 7 % 251 for i in range(size))
    backend.room(f"size{size}{transport}", body)
    assert client.push().body == body


@pytest.mark.parametrize("op", [2, 3, 5, 8, 9, 12, 1000, -5, 2 ** 31 - 1])
def test_s12_02_any_operation_can_be_pushed(cluster, backend, transport, op):
    if op == 9 and transport == "tcp":
        # On TCP nothing tells a pushed op 9 from an envelope, so it is looked at raw.
        client = cluster.client("tcp").auth(room="live://op9t")
        backend.room("op9t", "nine", operation=9)
        assert read_exactly(client, 20).hex() == "00000014001000010000000900000000" + b"nine".hex()
        return
    client = cluster.client(transport).auth(room=f"live://op{op}{transport}")
    backend.room(f"op{op}{transport}", "x", operation=op)
    assert client.push() == (1, op, 0, b"x")


# -- 4: heartbeat reply of exactly 20 bytes; any body and version ---------------------------------
@pytest.mark.parametrize("body", [b"", b"x", b"1424,77", b"\0" * 4096])
@pytest.mark.parametrize("ver", [0, 1])
def test_s12_04_heartbeat_with_any_body(cluster, transport, body, ver):
    client = cluster.client(transport).auth()
    reply = client.request(HEARTBEAT, body, ver=ver)
    assert reply.op == 3 and reply.body == struct.pack(">i", 0)


def test_s12_04_heartbeat_counts_the_room_over_the_cluster(cluster):
    clients = [cluster.client(t, comet).auth(room="live://s1204")
               for t in ("tcp", "ws") for comet in (0, 1)]
    until = time.monotonic() + 10
    while any(c.heartbeat() != 4 for c in clients):
        assert time.monotonic() < until, [c.heartbeat() for c in clients]
        time.sleep(0.1)


# -- 5: replies 13, 15, 17 echo the body; unknown operations echo with the same op, empty body ----
@pytest.mark.parametrize("op, bodies", [
    (CHANGE_ROOM, [b"live://1", b"no scheme at all", b"", "live://房间".encode(), b"x" * 200]),
    (SUB, [b"1000,1001", b"", b"2000, 2001", b"nonsense", b"-5,+7", b"1,", b"99999999999"]),
    (UNSUB, [b"1000", b"", b"a,b", b"1,,2"]),
])
def test_s12_05_replies_echo_the_body(cluster, transport, op, bodies):
    client = cluster.client(transport).auth()
    for body in bodies:
        reply = client.request(op, body)
        assert (reply.op, reply.body) == (op + 1, body)


@pytest.mark.parametrize("op", [0, 1, 4, 5, 6, 7, 8, 10, 11, 13, 15, 17, -5, 1000, 123456,
                                2 ** 31 - 1, -2 ** 31])
@pytest.mark.parametrize("body", [b"", b"something said"])
def test_s12_05_unknown_operations_are_echoed_empty(cluster, transport, op, body):
    client = cluster.client(transport).auth()
    reply = client.request(op, body)
    assert (reply.op, reply.body) == (op, b"")


def test_s12_05_a_list_with_one_bad_piece_changes_nothing(cluster, backend, transport):
    client = cluster.client(transport).auth(key=f"s1205{transport}", accepts=[])
    client.request(SUB, b"2000, 2001")
    backend.keys(f"s1205{transport}", "no", operation=2000)
    client.request(SUB, b"2002")
    backend.keys(f"s1205{transport}", "yes", operation=2002)
    assert client.push().body == b"yes"
    client.no_push(0.2)


def test_s12_05_bodies_of_4096_bytes_pass_and_larger_ones_do_not(cluster, transport):
    client = cluster.client(transport).auth()
    assert client.request(CHANGE_ROOM, b"r" * 4096).body == b"r" * 4096
    client.send(CHANGE_ROOM, b"r" * 4097)
    assert client.gone() == []


@pytest.mark.parametrize("pack_len", [0, 1, 15, 16])
def test_s12_05_short_lengths_are_an_empty_body(cluster, transport, pack_len):
    client = cluster.client(transport).auth()
    client.send_raw(encode(HEARTBEAT, 5, pack_len=pack_len))
    client.send(HEARTBEAT, seq=6)  # the 16 bytes of the header were consumed, no more and no less
    assert [client.reply().seq, client.reply().seq] == [5, 6]
    client.no_replies(0.1)


def test_s12_05_negative_length_is_an_empty_body_on_tcp(cluster):
    client = cluster.client("tcp").auth()
    client.send_raw(encode(HEARTBEAT, 5, pack_len=-1))
    assert client.reply().seq == 5


@pytest.mark.parametrize("header_len", [0, 15, 17, 32, -16])
def test_s12_05_another_header_length_closes(cluster, transport, header_len):
    client = cluster.client(transport).auth()
    client.send_raw(encode(HEARTBEAT, 5, header_len=header_len))
    assert client.gone() == []


@pytest.mark.parametrize("payload", [b"", b"\0", encode(HEARTBEAT, 5)[:15]])
def test_s12_05_ws_message_shorter_than_a_header_closes(cluster, payload):
    client = cluster.client("ws").auth()
    client.send_frame(payload)
    assert client.gone() == []


def test_s12_05_ws_surplus_bytes_are_ignored(cluster):
    client = cluster.client("ws").auth()
    client.send_frame(encode(HEARTBEAT, 5) + encode(HEARTBEAT, 6) + b"tail")
    client.send(HEARTBEAT, seq=7)
    assert [client.reply().seq, client.reply().seq] == [5, 7]


def test_s12_05_ws_text_unmasked_and_fragmented_messages_are_taken(cluster):
    client = cluster.client("ws").auth()
    package = encode(CHANGE_ROOM, 5, b"live://pieces")
    client.send_frame(package, opcode=1)
    assert client.reply().body == b"live://pieces"
    client.send_frame(package, masked=False)
    assert client.reply().body == b"live://pieces"
    client.send_frame(package[:3], opcode=2, fin=False)
    client.send_frame(package[3:20], opcode=0, fin=False)
    client.send_frame(b"between", opcode=9)  # a ping may come in the middle
    client.send_frame(package[20:], opcode=0)
    assert client.reply().body == b"live://pieces"
    assert list(client.pongs) == [b"between"]


@pytest.mark.parametrize("rsv", [1, 2, 4])
def test_s12_05_ws_reserved_bits_close(cluster, rsv):
    client = cluster.client("ws").auth()
    client.send_frame(encode(HEARTBEAT, 5), rsv=rsv)
    assert client.gone() == []


def test_s12_05_tcp_packages_in_single_bytes(cluster):
    client = cluster.client("tcp")
    for byte in encode(AUTH, 1, b"{}") + encode(HEARTBEAT, 2):
        client.sock.sendall(bytes([byte]))
    assert [client.reply().op, client.reply().op] == [8, 3]


# -- 6: accepts filter pushes by key, by mid and to all, not those to a room ----------------------
def test_s12_06_accepts_filter(cluster, backend, transport):
    base = 3000 if transport == "tcp" else 3100
    client = cluster.client(transport).auth(mid=base, key=f"s1206{transport}",
                                            room=f"live://s1206{transport}", accepts=[base])
    backend.keys(f"s1206{transport}", "key no", operation=base + 1)
    backend.mids(base, "mid no", operation=base + 1)
    backend.everybody("all no", operation=base + 1)
    backend.room(f"s1206{transport}", "room, never accepted", operation=base + 1)
    backend.keys(f"s1206{transport}", "key yes", operation=base)
    backend.mids(base, "mid yes", operation=base)
    backend.everybody("all yes", operation=base)
    assert sorted(client.push_bodies(4)) == [b"all yes", b"key yes", b"mid yes",
                                             b"room, never accepted"]
    client.no_push(0.3)


# -- 7: rooms are opaque strings, built as type://room --------------------------------------------
@pytest.mark.parametrize("kind, room", [("live", "1000"), ("test", "1"), ("a b", "c/d?e&f"),
                                        ("直播", "房间"), ("live", "live://1")])
def test_s12_07_room_id_is_type_and_room(cluster, backend, transport, kind, room):
    client = cluster.client(transport).auth(room=f"{kind}://{room}")
    other = cluster.client(transport).auth(room=f"{kind}://{room} ")
    backend.room(room, f"to {room}", type=kind)
    assert client.push().body == f"to {room}".encode()
    other.no_push(0.1)


# -- 8: the newer connection of a key wins; one mid, many keys ------------------------------------
@pytest.mark.parametrize("comets", [(0, 0), (0, 1)])
def test_s12_08_same_key_newer_wins(cluster, backend, transport, comets):
    key = f"s1208{transport}{comets}"
    old = cluster.client(transport, comets[0]).auth(key=key)
    new = cluster.client(transport, comets[1]).auth(key=key)
    if comets[0] == comets[1]:
        old.gone()
    backend.keys(key, "for the newer")
    assert new.push().body == b"for the newer"


def test_s12_08_one_mid_many_keys(cluster, backend):
    devices = [cluster.client(t, comet).auth(mid=120801) for t in ("tcp", "ws") for comet in (0, 1)]
    backend.mids(120801, "to every device")
    for device in devices:
        assert device.push().body == b"to every device"


def test_s12_08_mid_zero_is_anonymous(cluster, backend, transport):
    client = cluster.client(transport).auth(mid=0, key=f"s1208zero{transport}")
    backend.mids(0, "nobody is zero")
    backend.keys(f"s1208zero{transport}", "by key it works")
    assert client.push().body == b"by key it works"
    client.no_push(0.2)


# -- 9: node routing ------------------------------------------------------------------------------
def test_s12_09_nodes_weighted(cluster, backend):
    data = backend.data("/goim/nodes/weighted")
    assert list(data) == ["domain", "tcp_port", "ws_port", "wss_port", "heartbeat", "nodes",
                          "backoff", "heartbeat_max"]
    assert data["tcp_port"] == cluster.comets[0].tcp and data["ws_port"] == cluster.comets[0].ws
    assert data["heartbeat"] * data["heartbeat_max"] >= 480
    assert data["backoff"] == {"max_delay": 300, "base_delay": 3, "factor": 1.8, "jitter": 0.3}
    assert data["nodes"] and all(isinstance(n, str) and n for n in data["nodes"])
    web = backend.data("/goim/nodes/weighted?platform=web")["nodes"]
    assert sorted(n.split(".")[0] for n in web) == ["comet", "comet-2"]


def test_s12_09_nodes_instances(cluster, backend):
    instances = backend.data("/goim/nodes/instances")
    assert sorted(i["hostname"] for i in instances) == ["comet", "comet-2"]
    for one in instances:
        assert {"region", "zone", "env", "appid", "hostname", "addrs", "version",
                "latest_timestamp", "metadata"} <= set(one)
        assert one["appid"] == "goim.comet" and one["addrs"][0].startswith("grpc://")
        assert {"addrs", "conn_count", "ip_count", "offline", "weight"} <= set(one["metadata"])
        assert all(isinstance(value, str) for value in one["metadata"].values())
        assert one["metadata"]["offline"] == "false"
        assert abs(one["latest_timestamp"] / 1e9 - time.time()) < 60
        json.dumps(one)
