"""Fields to blocks, read back by hpack."""

import hpack
from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.h2.decoder import Decoder
from meshproxy.h2.encoder import Encodable, Encoder
from meshproxy.h2.heads import response_fields, trailer_fields
from meshproxy.http.headers import of

LINES = st.sampled_from([b"Accept: */*", b"x-a:b", b"X-B:  v ", b"Cookie: a=b", b"x-c: d:e"])
NAMED = LINES | st.sampled_from([b"x-d:%d" % n for n in range(9)] + [b"Date: 1", b"l5d-reqid: 0f"])
NAMES = st.sampled_from([b":path", b"accept", b"cookie", b"x-a", b"x-b", b"x-request-id"])
VALUES = st.sampled_from([b"", b"/", b"gzip, deflate", b"y" * 90, b"z" * 300])
SECTIONS = st.lists(st.tuples(NAMES, VALUES), max_size=6).map(tuple)
HEAD = ((b":status", b"200"), (b"server", b"me"), (b"x-a", b"b"))


@given(
    st.lists(
        st.tuples(
            SECTIONS,
            st.lists(st.sampled_from([0, 40, 100, 200, 4096, 9000]), max_size=2),
            st.frozensets(NAMES, max_size=1),
        )
    )
)
def test_what_is_encoded_is_read_by_hpack_and_by_our_decoder(blocks: list) -> None:  # type: ignore[type-arg]
    ours, theirs, decoder = Encoder(), hpack.Decoder(), Decoder(1 << 16, 100)
    theirs.max_allowed_table_size = 1 << 16
    for fields, sizes, never_indexed in blocks:
        for size in sizes:
            ours.resize(size)
        block = ours.encode(fields, never_indexed)
        assert tuple(map(tuple, theirs.decode(block, raw=True))) == fields
        assert decoder.decode(block).fields == fields


@given(st.lists(st.lists(LINES | st.tuples(NAMES, VALUES), max_size=6).map(tuple)))
def test_a_line_is_the_field_that_it_says(blocks: list) -> None:  # type: ignore[type-arg]
    ours, as_pairs, decoder = Encoder(), Encoder(), Decoder(1 << 16, 100)
    for fields in blocks:
        pairs = tuple(
            (each.partition(b":")[0].lower(), each.partition(b":")[2].strip())
            if isinstance(each, bytes)
            else each
            for each in fields
        )
        block = ours.encode(fields)
        assert block == as_pairs.encode(pairs)
        assert decoder.decode(block).fields == pairs


def test_a_name_that_has_new_values_each_time_leaves_nothing_behind() -> None:
    ours, theirs = Encoder(), hpack.Decoder()
    sizes = set()
    for number in range(2000):
        fields = (*HEAD, (b"x-new", b"%d" % number), b"x-Newer: %d" % number)
        assert theirs.decode(ours.encode(fields), raw=True)[3:] == [
            (b"x-new", b"%d" % number), (b"x-newer", b"%d" % number),
        ]  # fmt: skip
        sizes.add(len(ours._codes) + len(ours._codes._seen) + len(ours._once) + len(ours._blocks))
    assert max(sizes) < 300
    for _ in range(200):
        length = len(ours.encode((*HEAD, (b"x-new", b"settled"))))
    assert length == 4, "a value that recurs after all is not indexed"


def names_of(fields: tuple[Encodable, ...]) -> tuple[bytes, ...]:
    """Return the names that the encoder may be told."""
    return tuple(
        field.partition(b":")[0].lower() if isinstance(field, bytes) else field[0]
        for field in fields
    )


@settings(max_examples=20)
@given(st.lists(LINES, max_size=4), st.binary(max_size=200).map(bytes.strip))
def test_fields_with_their_names_are_what_they_are_without(lines: list[bytes], new: bytes) -> None:
    ours, decoder = Encoder(), Decoder(1 << 16, 100)
    fields = (*HEAD[:1], *lines, b"X-Fresh: \t" + new + b" ")
    names = names_of(fields)
    for number in range(40):
        decoder.decode(ours.encode((*fields[:-1], b"x-fresh:%d" % number), names=names))
    assert b"x-fresh" in ours._codes.fresh
    assert len(ours._skeletons) == 1
    expected = Decoder(1 << 16, 100).decode(Encoder().encode(fields)).fields
    for _ in range(150):
        block = ours.encode(fields, names=names)
        assert decoder.decode(block).fields == expected
    assert b"x-fresh" not in ours._codes.fresh
    assert block == ours.encode(fields), "a value that recurs after all is not indexed"


@given(st.lists(st.tuples(st.sampled_from([b"/", b"/a"]), st.lists(NAMED, max_size=6))))
def test_heads_of_many_names_stay_what_they_are_as_the_table_changes(
    heads: list[tuple[bytes, list[bytes]]],
) -> None:
    ours, theirs = Encoder(), hpack.Decoder()
    for path, lines in heads:
        fields = ((b":method", b"GET"), (b":path", path), *lines)
        block = ours.encode(fields, names=names_of(fields))
        assert [tuple(each) for each in theirs.decode(block, raw=True)] == [
            *fields[:2],
            *((line.partition(b":")[0].lower(), line.partition(b":")[2].strip()) for line in lines),
        ]


def test_new_paths_ids_and_secrets_leave_the_rest_of_a_head_remembered() -> None:
    ours, decoder = Encoder(), Decoder(1 << 16, 100)
    for number in range(1000):
        fields = (
            HEAD[0], (b":path", b"/%d" % number), b"Cookie: %d" % number, b"x-a: b",
            b"l5d-reqid: %016x" % number,
        )  # fmt: skip
        section = decoder.decode(ours.encode(fields, names=names_of(fields)))
        assert section.fields == (
            *fields[:2], (b"cookie", b"%d" % number), (b"x-a", b"b"),
            (b"l5d-reqid", b"%016x" % number),
        )  # fmt: skip
        assert section.never_indexed == {b"cookie"}
    assert len(ours._skeletons) == len(ours._codes.outlines) == 1
    assert len(ours._codes) == 2, "new values are remembered"


def test_a_head_with_names_that_recurs_is_remembered_whole() -> None:
    ours, decoder = Encoder(), Decoder(1 << 16, 100)
    head = (HEAD[0], b"date: 1", b"x-a: b", b"etag: 2")
    for new in range(200):
        blocks = [ours.encode(head, names=names_of(head)) for _ in range(5)]
        for block in blocks:
            assert decoder.decode(block).fields[1:3] == ((b"date", b"1"), (b"x-a", b"b"))
        fields = (*head[:3], b"etag: new%d" % new)
        section = decoder.decode(ours.encode(fields, names=names_of(fields)))
        assert section.fields[3] == (b"etag", b"new%d" % new)
    assert blocks[3] is blocks[4]


def test_a_value_that_settles_is_indexed_while_the_names_stay_the_same_object() -> None:
    ours, theirs = Encoder(), hpack.Decoder()
    names = (b":status", b"x-a", b"x-settles")
    for number in [*range(200), *[0] * 400]:
        block = ours.encode((HEAD[0], b"x-a: b", b"x-settles: new%d" % number), names=names)
        assert theirs.decode(block, raw=True)[2] == (b"x-settles", b"new%d" % number)
        if number == 199:
            assert b"x-settles" in ours._codes.fresh
    assert len(block) == 3


def test_new_responses_and_trailers_leave_the_rest_of_them_remembered() -> None:
    ours, theirs = Encoder(), hpack.Decoder()
    for number in range(1000):
        head = of((b"Server", b"me"), (b"Date", b"%d" % number), (b"ETag", b"%d" % -number))
        end = of((b"grpc-status", b"0"), (b"grpc-message", b"%d" % number))
        for fields, names in (response_fields(200, head), trailer_fields(end)):
            assert names == names_of(fields)
            found = theirs.decode(ours.encode(fields, names=names), raw=True)
            assert tuple(name for name, _ in found) == names
            assert b"%d" % number in dict(found).values()
    assert len(ours._skeletons) == len(ours._codes.outlines) == 2
    assert len(ours._blocks) == 0
    assert len(ours._once) < 256


def test_what_is_around_new_values_is_forgotten_when_the_table_changes() -> None:
    ours, decoder = Encoder(), Decoder(1 << 16, 100)
    head = (HEAD[0], (b":path", b"/"), b"x-a: b")
    for line in (b"x-b: c", b"x-c: d"):
        paths = [(HEAD[0], (b":path", b"/%d" % number), head[2]) for number in range(6)]
        for fields in (*paths, (*head, line), (*head, line), head):
            section = decoder.decode(ours.encode(fields, names=names_of(fields)))
            assert section.fields[2:3] == ((b"x-a", b"b"),)
    assert ours._codes.inserted == 3


def test_what_is_remembered_of_heads_with_names_is_bounded() -> None:
    ours = Encoder()
    lines = [b"x-%d: v" % number for number in range(10)]
    for number in range(1024):
        some = [line for at, line in enumerate(lines) if number >> at & 1]
        for _ in range(3):
            fields = ((b":path", b"/"), *some)
            ours.encode(fields, names=names_of(fields))
        assert len(ours._codes.outlines) <= 256
        assert len(ours._skeletons) <= 256


def test_heads_with_long_names_or_fields_are_not_remembered() -> None:
    ours = Encoder()
    for line in (b"x-%b: v" % (b"y" * 2000), b"x-z: %b" % (b"y" * 2000)):
        fields = ((b":path", b"/"), line)
        for _ in range(3):
            ours.encode(fields, names=names_of(fields))
    assert list(ours._codes.outlines) == [(b":path", b"x-z")]
    assert len(ours._skeletons) == 0


def test_what_was_seen_is_bounded() -> None:
    ours = Encoder()
    for number in range(20_000):
        ours.encode(((b"x-%d" % (number // 40), b"%d" % number),))
        assert len(ours._codes._seen) <= 513
        assert len(ours._codes.fresh) <= 513 // 32


def test_a_field_is_indexed_when_it_comes_again() -> None:
    ours = Encoder()
    lengths = [len(ours.encode(HEAD)) for _ in range(4)]
    assert min(lengths[:2]) > 10
    assert lengths[2:] == [3, 3]


def test_values_that_are_new_each_time_are_not_indexed() -> None:
    ours = Encoder()
    head = ((b":path", b"/x"), (b"x-request-id", b"1"))
    assert len({ours.encode(head) for _ in range(4)}) == 1
    assert ours._codes.inserted == 0


def test_secrets_are_never_indexed_here_or_further_on() -> None:
    ours, decoder = Encoder(), Decoder(1 << 16, 100)
    head = ((b"authorization", b"Basic x"), (b"cookie", b"a=b"), (b"x-key", b"k"))
    for _ in range(3):
        section = decoder.decode(ours.encode(head, frozenset({b"x-key"})))
        assert section.never_indexed == {b"authorization", b"cookie", b"x-key"}
    ours.encode(head[2:])
    ours.encode(head[2:])
    section = decoder.decode(ours.encode(head[2:], frozenset({b"x-key"})))
    assert section.never_indexed == {b"x-key"}


def test_a_static_field_is_a_literal_if_it_must_not_be_indexed() -> None:
    section = Decoder(1 << 16, 100).decode(
        Encoder().encode(((b":method", b"GET"),), frozenset({b":method"}))
    )
    assert section.never_indexed == {b":method"}


def test_a_section_that_recurs_is_remembered_until_the_table_changes() -> None:
    ours = Encoder()
    blocks = [ours.encode(HEAD) for _ in range(5)]
    assert blocks[4] is blocks[3]
    other = ((b"x-new", b"1"),)
    ours.encode(other)
    ours.encode(other)
    assert ours.encode(HEAD) != blocks[4]


def test_the_peer_is_told_the_smallest_size_and_the_last() -> None:
    ours = Encoder()
    ours.resize(100)
    ours.resize(50)
    ours.resize(9000)
    assert ours.encode(((b":method", b"GET"),)) == b"\x3f\x13\x3f\xe1\x1f\x82"
    ours.resize(4096)
    assert ours.encode(((b":method", b"GET"),)) == b"\x82"


def test_a_peer_without_a_table_gets_literals() -> None:
    ours, theirs = Encoder(), hpack.Decoder()
    ours.resize(0)
    for _ in range(4):
        assert len(theirs.decode(ours.encode(HEAD), raw=True)) == 3
    assert ours._codes.size == 0


def test_the_table_stays_within_its_size() -> None:
    ours, theirs = Encoder(), hpack.Decoder()
    for number in range(300):
        head = ((b"x-a", b"%090d" % number),)
        for _ in range(3):
            assert theirs.decode(ours.encode(head), raw=True) == [head[0]]
        assert 0 < ours._codes.size <= 4096


def test_a_large_section_is_not_remembered() -> None:
    ours = Encoder()
    head = ((b":path", b"/" + b"x" * 2000),)
    for _ in range(3):
        ours.encode(head)
    assert len(ours._blocks) + len(ours._once) == 0
