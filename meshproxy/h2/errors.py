"""The two levels of errors in HTTP/2, and their codes (RFC 9113 sections 5.4 and 7)."""

import enum


class ErrorCode(enum.IntEnum):
    """The codes that RST_STREAM and GOAWAY carry; others may arrive, and are plain numbers."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13

    @classmethod
    def name_of(cls, code: int) -> str:
        """Returns the name of *code* in lower case, `unknown` for a number that has none."""
        return cls(code).name.lower() if code in cls.__members__.values() else "unknown"


class H2ConnectionError(Exception):
    """A fault of the peer after which the connection cannot go on; *code* goes into a GOAWAY."""

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(f"{code.name}: {why}")
        self.code = code


class H2StreamError(Exception):
    """A fault of the peer that ends one stream; *code* goes into a RST_STREAM."""

    def __init__(self, stream_id: int, code: ErrorCode, why: str) -> None:
        super().__init__(f"stream {stream_id}: {code.name}: {why}")
        self.stream_id = stream_id
        self.code = code


def malformed(stream_id: int, why: str) -> H2StreamError:
    """Returns the error of a message that breaks a rule of RFC 9113 section 8.1.1."""
    return H2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, why)


def too_large(stream_id: int) -> H2StreamError:
    """Returns the error of a response or of trailers with more fields than the limits allow."""
    return H2StreamError(
        stream_id, ErrorCode.ENHANCE_YOUR_CALM, "fields over SETTINGS_MAX_HEADER_LIST_SIZE"
    )
