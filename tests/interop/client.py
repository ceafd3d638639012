"""A node in Python's standard library alone, written from docs/protocol.md: handshake, both encodings, replay,
duplicates, gaps, takeover, garbage. Run: python3 client.py PORT, against a host without this node's data."""
import json
import socket
import struct
import sys
import zlib

import block

PORT = int(sys.argv[1])
EPOCH = "00112233445566aa"


def hello(**fields):
    message = dict(type="hello", proto=[1], node_id="py-1", epoch=EPOCH, boot_id="b", version="py", first_seq=1,
                   next_seq=11, cfg_version=0, encodings=["ndjson"], ts_wall_ms=1.0, ts_mono_ms=1.0)
    message.update(fields)
    return message


def record(seq):
    return dict(type="telemetry", node_id="py-1", epoch=EPOCH, seq=seq, ts_wall_ms=1.0 * seq, ts_mono_ms=1.0 * seq,
                boot_id="b", metrics={"a": seq}, anomaly={"is_anomaly": False, "score": 0, "metrics": {}},
                diagnostics={}, degraded=False, cfg_version=0)


def line(message):
    return message if isinstance(message, bytes) else (json.dumps(message, separators=(",", ":")) + "\n").encode()


class Link:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT))
        self.socket.settimeout(10)
        self.bytes = b""
        self.encoding = "ndjson"
        self.encoder, self.decoder, self.messages = block.Encoder(), block.Decoder(), []

    def receive(self):
        while True:
            if self.encoding == "ndjson" and b"\n" in self.bytes:
                first, self.bytes = self.bytes.split(b"\n", 1)
                return json.loads(first)
            if self.messages:
                return json.loads(self.messages.pop(0))
            if self.encoding == "block" and len(self.bytes) >= 8:
                length, crc = struct.unpack(">II", self.bytes[:8])
                if len(self.bytes) >= 8 + length:
                    body, self.bytes = self.bytes[8:8 + length], self.bytes[8 + length:]
                    assert zlib.crc32(body) == crc
                    self.messages += self.decoder.body(body)
                    continue
            more = self.socket.recv(65536)
            if not more:
                return None
            self.bytes += more

    def send(self, *messages):
        plain = b"".join(line(message) for message in messages)
        if self.encoding == "block":
            plain = block.frame(block.deflated(self.encoder.block(plain.decode()[:-1].split("\n"))))
        self.socket.sendall(plain)

    def wait_for(self, kind):
        while True:
            message = self.receive()
            assert message is not None, "closed while waiting for " + kind
            if message["type"] == kind:
                return message

    def wait_for_ack(self, seq):
        while True:
            ack = self.wait_for("ack")
            if ack["high_acked"] >= seq:
                return ack


first = Link()
first.send(hello())
assert first.wait_for("welcome")["high_acked"] == 0
first.send(record(1), record(2), record(4), record(4), record(9))
ack = first.wait_for_ack(2)
assert ack["high_acked"] == 2 and ack["ranges"] == [[4, 4], [9, 9]], ack
first.send(dict(type="gap", from_seq=3, to_seq=5, reason="evicted"))
first.wait_for_ack(5)
first.send(b"garbage\n")
assert first.wait_for("error")["code"] == "bad_message"

second = Link()
second.send(hello(encodings=["block"]))
welcome = second.wait_for("welcome")
assert welcome["high_acked"] == 5 and welcome["ranges"] == [[9, 9]] and welcome["encoding"] == "block", welcome
second.encoding = "block"
second.send(*[record(seq) for seq in (6, 7)])
second.send(*[record(seq) for seq in (8, 10)])
second.wait_for_ack(10)

third = Link()
third.send(hello())
assert second.wait_for("error")["code"] == "superseded"
assert third.wait_for("welcome")["max_seq"] == 10

early = line(dict(type="gap", from_seq=1, to_seq=1, reason="evicted"))
for sent, code in [(early, "bad_order"), (b"x" * 70000, "too_long"), (b"\xff\n", "bad_message"),
                   (line(hello(proto=[7])), "unsupported")]:
    link = Link()
    link.socket.sendall(sent)
    assert link.wait_for("error")["code"] == code, code
print("OK")
