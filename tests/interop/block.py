"""Blocks of lines, written from docs/protocol.md alone: both directions, standard library only.

    python3 block.py vectors > tests/vectors/frames.json
"""
import json, re, struct, sys, zlib


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError("block ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def unsigned(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            if value >= 2**53:
                raise ValueError("number too large")
            if byte < 128:
                return value
            shift += 7

    def signed(self):
        value = self.unsigned()
        return value >> 1 if value % 2 == 0 else -((value + 1) >> 1)

    def packed(self, count):
        width = self.byte()
        if not 1 <= width <= 32:
            raise ValueError("bad width")
        bits = int.from_bytes(self.take((count * width + 7) // 8), "little")
        if bits >> (count * width):
            raise ValueError("bits behind packed numbers")
        zigzags = [bits >> (i * width) & (2**width - 1) for i in range(count)]
        return [z >> 1 if z % 2 == 0 else -((z + 1) >> 1) for z in zigzags]

    def text(self):
        text = self.take(self.unsigned())
        if b"\n" in text:
            raise ValueError("newline in a text")
        return text.decode("utf-8")


def unsigned(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value):
    return unsigned(2 * value if value >= 0 else -2 * value - 1)


def text(value):
    data = value.encode("utf-8")
    return unsigned(len(data)) + data


class Column:
    def __init__(self):
        self.begin(0)

    def begin(self, scale):
        self.scale, self.last, self.difference = scale, 0, 0

    def read(self, count, reader):
        mode = reader.byte()
        kind, scale = mode >> 4, mode & 15
        if mode == 0x30:
            self.begin(0)
            return [struct.unpack(">d", reader.take(8))[0] for _ in range(count)]
        if kind == 3 or kind > 4:
            raise ValueError("unknown mode")
        if scale != self.scale:
            self.begin(scale)
        if kind == 4:
            packed = iter(reader.packed(count))
        values = []
        for _ in range(count):
            if kind == 0:
                self.difference = 0
            else:
                step = next(packed) if kind == 4 else reader.signed()
                self.difference = step + (self.difference if kind == 2 else 0)
                self.last += self.difference
                if abs(self.last) > 2**50:
                    raise ValueError("number out of range")
            values.append(self.last / 10**scale if scale else self.last)
        return values

    def write(self, numbers, scale, kind=1):
        """Whole numbers that each stand for number / 10^scale, in one of the kinds 0, 1, 2, 4."""
        if scale != self.scale:
            self.begin(scale)
        out = bytes([kind * 16 + scale])
        if kind == 4:
            differences = [b - a for a, b in zip([self.last] + numbers, numbers)]
            zigzags = [2 * d if d >= 0 else -2 * d - 1 for d in differences]
            width = max(zigzags).bit_length()
            bits = sum(z << (i * width) for i, z in enumerate(zigzags))
            out += bytes([width]) + bits.to_bytes((len(numbers) * width + 7) // 8, "little")
        for number in numbers:
            difference = number - self.last
            if kind in (1, 2):
                out += signed(difference - (self.difference if kind == 2 else 0))
            self.difference, self.last = difference, number
        return out


def number(value):
    """A number as JSON; how it is written is free, what it is worth is not."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return json.dumps(value)


class Decoder:
    """One direction of a connection after the handshake."""

    def __init__(self):
        self.shapes = []

    def block(self, data):
        reader = Reader(data)
        version, flags, count = reader.byte(), reader.byte(), reader.unsigned()
        if version != 1 or flags > 1 or count == 0:
            raise ValueError("no block of version 1")
        if flags == 1:
            self.shapes = []
        ops = [reader.unsigned() for _ in range(count)]
        plain = [reader.text() for op in ops if op == 0]
        order, rows, of_line = [], {}, []
        for op in ops:
            if op == 1:
                parts = self.shape(reader).split("\0")
                self.shapes.append((parts, [Column() for _ in parts[1:]]))
            shape = None if op == 0 else len(self.shapes) - 1 if op == 1 else op - 2
            if shape is not None:
                if shape >= len(self.shapes):
                    raise ValueError("unknown shape")
                if shape not in rows:
                    order.append(shape)
                    rows[shape] = 0
                of_line.append((shape, rows[shape]))
                rows[shape] += 1
            else:
                of_line.append(None)
        columns = {shape: [column.read(rows[shape], reader) for column in self.shapes[shape][1]] for shape in order}
        if reader.at != len(data):
            raise ValueError("bytes behind the block")
        lines, plain = [], iter(plain)
        for place in of_line:
            if place is None:
                lines.append(next(plain))
                continue
            shape, row = place
            parts = self.shapes[shape][0]
            line = parts[0]
            for column, part in zip(columns[shape], parts[1:]):
                line += number(column[row]) + part
            lines.append(line)
        return lines

    def shape(self, reader):
        base = reader.unsigned()
        if base == 0:
            return reader.text()
        start, end, known = reader.unsigned(), reader.unsigned(), "\0".join(self.shapes[base - 1][0])
        if start + end > len(known):
            raise ValueError("shape shares too much")
        return known[:start] + reader.text() + known[len(known) - end:]

    def body(self, body):
        if body[0] not in (0, 1):
            raise ValueError("unknown kind of frame")
        if body[0] == 0:
            return self.block(body[1:])
        inflater = zlib.decompressobj(-15)
        block = inflater.decompress(body[1:], 1_048_576)
        if not inflater.eof or inflater.unused_data:
            raise ValueError("bad deflate stream")
        return self.block(block)


def frame(body):
    return struct.pack(">II", len(body), zlib.crc32(body)) + body


def deflated(block):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"\1" + packer.compress(block) + packer.flush()


# What is written in the same way again: no leading zeros, no -0.
WHOLE = r'(?<=[:\[,])(?:0|-?[1-9]\d*)(?=[,\]}])'


class Encoder:
    """The simplest there may be: a line of a known shape in columns, all others plain."""

    def __init__(self):
        self.shapes = {}

    def block(self, lines):
        ops, plain, new, uses = b"", b"", b"", {}
        for line in lines:
            numbers = re.findall(WHOLE, line)
            shape = re.sub(WHOLE, "\0", line)
            if not numbers or any(len(n) > 15 for n in numbers):
                ops, plain = ops + unsigned(0), plain + text(line)
                continue
            if shape in self.shapes:
                ops += unsigned(2 + list(self.shapes).index(shape))
            else:
                ops, new = ops + unsigned(1), new + b"\0" + text(shape)
                self.shapes[shape] = [Column() for _ in numbers]
            uses.setdefault(shape, []).append([int(n) for n in numbers])
        out = b"\1\0" + unsigned(len(lines)) + ops + plain + new
        for shape, rows in uses.items():
            for index, column in enumerate(self.shapes[shape]):
                out += column.write([row[index] for row in rows], 0)
        return out


def vectors():
    found = []

    def add(id, reason, data, lines=(), bad=""):
        found.append(dict(id=id, hex=data.hex(), lines=list(lines), bad=bad, reason=reason))

    def block(count, *parts):
        return b"\0\1\0" + unsigned(count) + b"".join(parts)

    def new(value):
        return b"\0" + text(value)

    shape = '{"a":\0,"b":\0}'
    record = '{"seq":\0,"t":\0,"v":\0}'
    add("plain", "one plain line", frame(block(1, b"\0", text('{"a":1}'))), ['{"a":1}'])
    add("utf8", "a plain line that is not ASCII", frame(block(1, b"\0", text("zwölf"))), ["zwölf"])
    add("deflated", "three plain lines, deflated", frame(deflated(block(3, b"\0\0\0", text("one"), text("two"), text("three"))[1:])),
        ["one", "two", "three"])
    one = block(3, b"\1\2\2", new(shape), Column().write([5, 6, 8], 0), Column().write([-15, -10, 20], 1))
    add("shape", "three lines of one new shape: whole numbers, and one digit behind the point", frame(one),
        ['{"a":5,"b":-1.5}', '{"a":6,"b":-1}', '{"a":8,"b":2}'])
    a, b = Column(), Column()
    first = block(2, b"\1\2", new(shape), a.write([1000, 1001], 0), b.write([412, 413], 1))
    second = block(3, b"\2\0\2", text("plain"), a.write([1002, 1003], 0, 2), b.write([413, 413], 1, 0))
    add("goes-on", "a second block goes on from the first: changes of differences, and a column that stays the same",
        frame(first) + frame(second), ['{"a":1000,"b":41.2}', '{"a":1001,"b":41.3}', '{"a":1002,"b":41.3}', "plain", '{"a":1003,"b":41.3}'])
    forget = b"\0\1\1" + unsigned(1) + b"\1" + new('[\0]') + Column().write([7], 0)
    again = block(1, b"\2", b"\x10" + signed(1))
    add("forget", "the second block forgets all shapes, the third uses the new shape 0", frame(first) + frame(forget) + frame(again),
        ['{"a":1000,"b":41.2}', '{"a":1001,"b":41.3}', "[7]", "[8]"])
    doubles = block(2, b"\1\2", new("[\0]"), b"\x30", struct.pack(">dd", 1e300, 0.1 + 0.2))
    add("doubles", "numbers as 64 bits", frame(doubles), ["[1e+300]", "[0.30000000000000004]"])
    c = Column()
    scales = frame(block(1, b"\1", new("[\0]"), c.write([15], 1))) + frame(block(1, b"\2", c.write([123], 2)))
    add("scale", "another scale begins the column anew", scales, ["[1.5]", "[1.23]"])
    d = Column()
    packed = block(4, b"\1\2\2\2", new("[\0]"), d.write([300, -700, 12, 13], 2, 4))
    add("packed", "packed numbers", frame(packed), ["[3]", "[-7]", "[0.12]", "[0.13]"])
    like = block(2, b"\1\1", new('{"id":"a","ok":true,"v":\0}'), unsigned(1) + unsigned(15) + unsigned(8) + text("fals"),
                 Column().write([4], 0), Column().write([5], 0))
    add("like", "a second shape told by what it shares with the first", frame(like),
        ['{"id":"a","ok":true,"v":4}', '{"id":"a","ok":false,"v":5}'])
    wide = [2**50 - 1, -(2**50 - 1)]
    add("wide", "the largest numbers of a column", frame(block(2, b"\1\2", new(record.replace("\0", "0", 2)), Column().write(wide, 0))),
        ['{"seq":0,"t":0,"v":%d}' % n for n in wide])
    bad = "bad_message"
    good = block(1, b"\0", text("ab"))
    add("crc", "the checksum does not match", struct.pack(">II", len(good), zlib.crc32(good) ^ 1) + good, bad=bad)
    add("zero", "a frame of no bytes", struct.pack(">II", 0, 0), bad=bad)
    add("too-long", "a length above 1,048,576", struct.pack(">II", 1_048_577, 0), bad="too_long")
    add("bomb", "inflates to more than 1,048,576 bytes", frame(deflated(block(1, b"\0", text("a" * 1_048_577))[1:])), bad="too_long")
    add("kind", "a frame of an unknown kind", frame(b"\2" + good[1:]), bad=bad)
    add("behind-stream", "a byte behind the deflate stream", frame(deflated(good[1:]) + b"\0"), bad=bad)
    add("version", "a block of another version", frame(b"\0\2" + good[2:]), bad=bad)
    add("no-lines", "a block of no lines", frame(block(0)), bad=bad)
    add("behind-block", "a byte behind the block", frame(good + b"\0"), bad=bad)
    add("cut", "a block that ends too early", frame(good[:-1]), bad=bad)
    add("unknown-shape", "a shape that was never made", frame(block(1, b"\2")), bad=bad)
    add("like-none", "a shape like one that was never made", frame(block(1, b"\1", unsigned(1) + b"\0\0" + text("a"))), bad=bad)
    add("width", "packed numbers of no bits", frame(block(1, b"\1", new("\0"), b"\x40\0")), bad=bad)
    add("packed-rest", "bits behind packed numbers", frame(block(1, b"\1", new("\0"), b"\x40\4\x11")), bad=bad)
    add("newline", "a newline in a line", frame(block(1, b"\0", text("a\nb"))), bad=bad)
    add("not-utf8", "a line that is not UTF-8", frame(block(1, b"\0", b"\1\xff")), bad=bad)
    add("kind-of-column", "an unknown kind of column", frame(block(1, b"\1", new("\0"), b"\x50")), bad=bad)
    add("infinite", "a number that is not finite", frame(block(1, b"\1", new("\0"), b"\x30", struct.pack(">d", float("inf")))), bad=bad)
    add("line-too-long", "a line above 65,536 bytes", frame(deflated(block(1, b"\0", text("a" * 65_537))[1:])), bad="too_long")
    add("after-good", "a good frame, then a bad one: its lines count", frame(good) + frame(good[:-1]), ["ab"], bad)
    return dict(about="see README.md", frames=found)


if __name__ == "__main__" and sys.argv[1:] == ["vectors"]:
    for vector in vectors()["frames"]:
        if vector["bad"]:
            continue
        data, decoder, lines = bytes.fromhex(vector["hex"]), Decoder(), []
        while data:
            length, crc = struct.unpack(">II", data[:8])
            body, data = data[8:8 + length], data[8 + length:]
            assert zlib.crc32(body) == crc
            lines += decoder.body(body)
        assert [json.loads(line) if line[0] in "[{" else line for line in lines] == \
            [json.loads(line) if line[0] in "[{" else line for line in vector["lines"]], (vector["id"], lines)
    print(json.dumps(vectors(), indent=2, ensure_ascii=False))
