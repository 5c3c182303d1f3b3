"""S3's reads at a lake's size, out of moto's own memory: ranges of objects, and listings.

moto reads a whole object to answer for 64 KB of it (170 ms at 200 MB) and parses each date of a
listing (330 ms a page): right, and too slow for Parquet and ten thousands of files.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import get_account_id_from
from moto.s3.models import FakeKey, s3_backends

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_SIGNED = re.compile(r"Credential=(?P<key>[^/]+)/[0-9]+/[^/]+/s3/aws4_request")
_RANGE = re.compile(r"bytes=(?P<first>[0-9]*)-(?P<last>[0-9]*)")
# Whatever is asked beyond these is moto's to answer.
_CONDITIONS = (
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_ORIGIN",
    "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_CUSTOMER_KEY",
    "HTTP_X_MOTO_ACCOUNT_ID",
)
_LIST_PARAMETERS = {
    "list-type",
    "prefix",
    "delimiter",
    "continuation-token",
    "start-after",
    "max-keys",
    "encoding-type",
}
_MAX_KEYS = 1_000
_TOKEN = "at:"


@dataclass(frozen=True)
class _Answer:
    status: str
    headers: dict[str, str]
    body: bytes


class S3Reads:
    """WSGI middleware that answers GetObject and ListObjectsV2 as moto would, only fast.

    What it does not know (versions, policies, conditions, errors) it leaves to moto.
    """

    def __init__(self, moto: WSGIApplication) -> None:
        self._moto = moto

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or let moto."""
        answer = self._answer(environ)
        if answer is None:
            return self._moto(environ, start_response)
        headers = {**answer.headers, "content-length": str(len(answer.body))}
        start_response(answer.status, list(headers.items()))
        return [answer.body]

    def _answer(self, environ: WSGIEnvironment) -> _Answer | None:
        signed = _SIGNED.search(environ.get("HTTP_AUTHORIZATION", ""))
        if (
            environ["REQUEST_METHOD"] != "GET"
            or signed is None
            or not environ.get("HTTP_HOST", "").startswith("127.0.0.1:")
            or any(name in environ for name in _CONDITIONS)
            or get_account_id_from(signed["key"]) != DEFAULT_ACCOUNT_ID
        ):
            return None
        # WSGI hands paths over as if they were Latin-1.
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        bucket_name, _, name = path.removeprefix("/").partition("/")
        bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.get(bucket_name)
        if bucket is None or bucket.policy is not None:
            return None
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        if name:
            return _read(bucket, name, environ) if query.keys() <= {"x-id"} else None
        if query.get("list-type") == ["2"] and query.keys() <= _LIST_PARAMETERS:
            return _list(bucket, {key: values[0] for key, values in query.items()})
        return None


def _read(bucket: Any, name: str, environ: WSGIEnvironment) -> _Answer | None:
    key = bucket.keys.get(name)
    wanted = environ.get("HTTP_RANGE")
    if not isinstance(key, FakeKey) or key.storage_class != "STANDARD":
        return None
    if environ.get("HTTP_IF_MATCH", key.etag) != key.etag:
        return None
    first, last = 0, key.size - 1
    if wanted is not None:
        found = _RANGE.fullmatch(wanted)
        if not found or not (found["first"] or found["last"]):
            return None
        if found["first"]:
            first, last = int(found["first"]), min(int(found["last"] or last), last)
        else:
            first = max(key.size - int(found["last"]), 0)
        if first > last:
            return None
    try:
        with key.lock:
            key._value_buffer.seek(first)
            body = key._value_buffer.read(last - first + 1)
    except ValueError:
        return None  # overwritten or deleted meanwhile, and so closed: moto knows the new one
    headers = {**key.response_dict, **key.metadata, "accept-ranges": "bytes"}
    headers.pop("content-length", None)
    if wanted is None:
        if environ.get("HTTP_X_AMZ_CHECKSUM_MODE") == "ENABLED":
            headers.update(_checksum(key))
        return _Answer("200 OK", headers, body)
    headers["content-range"] = f"bytes {first}-{last}/{key.size}"
    return _Answer("206 PARTIAL CONTENT", headers, body)


def _checksum(key: FakeKey) -> dict[str, str]:
    if not key.checksum_algorithm or not key.checksum_value:
        return {}
    value = key.checksum_value
    if key.checksum_type == "COMPOSITE":
        value = f"{value}-{key.checksum_parts}"
    headers = {f"x-amz-checksum-{key.checksum_algorithm.lower()}": value}
    return headers | ({"x-amz-checksum-type": key.checksum_type} if key.checksum_type else {})


def _list(bucket: Any, asked: dict[str, str]) -> _Answer | None:
    limit = asked.get("max-keys", str(_MAX_KEYS))
    token = asked.get("continuation-token")
    after = asked.get("start-after", "")
    if token is not None:
        opened = base64.urlsafe_b64decode(token.encode()).decode() if _is_ours(token) else ""
        if not opened:
            return None
        after = opened.removeprefix(_TOKEN)
    if not limit.isdecimal() or int(limit) == 0:
        return None
    size = min(int(limit), _MAX_KEYS)
    prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
    page: list[tuple[str, FakeKey | None]] = []
    is_truncated = False
    for item in _items(bucket, prefix, delimiter, after):
        if len(page) == size:
            is_truncated = True
            break
        page.append(item)
    is_quoted = asked.get("encoding-type") == "url"
    body = _listing_xml(bucket.name, asked, page, _quoted if is_quoted else escape)
    if is_truncated:
        next_token = base64.urlsafe_b64encode(f"{_TOKEN}{page[-1][0]}".encode()).decode()
        body += f"<NextContinuationToken>{next_token}</NextContinuationToken>"
    body += f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated></ListBucketResult>"
    return _Answer("200 OK", {"content-type": "application/xml"}, body.encode())


def _is_ours(token: str) -> bool:
    return token.startswith(base64.urlsafe_b64encode(_TOKEN.encode()).decode())


def _items(
    bucket: Any, prefix: str, delimiter: str, after: str
) -> Iterator[tuple[str, FakeKey | None]]:
    """Objects and, without an object, common prefixes: those behind a name, in order."""
    # One step under the interpreter's lock: others write meanwhile.
    names = sorted(name for name in list(bucket.keys) if name.startswith(prefix) and name > after)
    folder = None
    for name in names:
        if folder is not None and name.startswith(folder):
            continue
        key = bucket.keys.get(name)
        if not isinstance(key, FakeKey):
            continue  # deleted, in a bucket with versions
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            yield name, key
            continue
        folder = name[: cut + len(delimiter)]
        if folder > after:
            yield folder, None


def _quoted(name: str) -> str:
    return quote(name)


def _listing_xml(
    bucket: str,
    asked: dict[str, str],
    page: list[tuple[str, FakeKey | None]],
    text: Callable[[str], str],
) -> str:
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix>{text(asked.get('prefix', ''))}</Prefix>"
        f"<MaxKeys>{asked.get('max-keys', _MAX_KEYS)}</MaxKeys><KeyCount>{len(page)}</KeyCount>"
    ]
    if "encoding-type" in asked:
        parts.append(f"<EncodingType>{escape(asked['encoding-type'])}</EncodingType>")
    if asked.get("delimiter"):
        parts.append(f"<Delimiter>{text(asked['delimiter'])}</Delimiter>")
    if "start-after" in asked and "continuation-token" not in asked:
        parts.append(f"<StartAfter>{text(asked['start-after'])}</StartAfter>")
    for name, key in page:
        if key is None:
            parts.append(f"<CommonPrefixes><Prefix>{text(name)}</Prefix></CommonPrefixes>")
            continue
        checksum = (
            f"<ChecksumAlgorithm>{key.checksum_algorithm}</ChecksumAlgorithm>"
            if key.checksum_algorithm
            else ""
        )
        parts.append(
            f"<Contents><Key>{text(name)}</Key>"
            f"<LastModified>{key.last_modified_ISO8601}</LastModified>"
            f"<ETag>{escape(key.etag)}</ETag>{checksum}<Size>{key.size}</Size>"
            f"<StorageClass>{key.storage_class}</StorageClass></Contents>"
        )
    return "".join(parts)
