"""Files in object stores and behind https://, as polars reads them: no copy is made, and each row group is fetched when it is read.

Which files a pattern or a directory (a name that ends with /) means is polars' to tell, by one listing; it passes over empty objects. It
tells neither size nor time of an object (polars 2.1), so what notices a change is a digest of the file's rows, columns and first rows, of
https:// also of the headers Content-Length, ETag and Last-Modified.

Formats that this package reads byte by byte (.npy, .npz, .safetensors, streams that are compressed) are refused, with the remedy.
"""

import functools
import hashlib
import inspect
import re
from contextvars import ContextVar
from urllib.request import Request, urlopen

from fastloss.evaluation.errors import DataError, RequestError, SourceError
from fastloss.evaluation.patterns import is_pattern, itself, pattern

SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "azure", "adl", "abfs", "abfss", "http", "https", "hf")
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
KINDS = (".parquet", ".pq", ".csv", ".tsv", ".jsonl", ".ndjson", ".arrow", ".feather", ".ipc")  # those that polars scans
SIGNED = re.compile(r"\?.*(sig|signature|token|credential|password|key)=", re.IGNORECASE)
NUMBERS = ("max_retries", "retry_timeout_ms", "retry_init_backoff_ms", "retry_max_backoff_ms", "file_cache_ttl")
SAMPLE = 1024  # rows of the digest
SECONDS = 30.0  # for the headers of https://
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an AWS profile",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "hf": "HF_TOKEN",
}
options = ContextVar("options", default=None)  # storage_options of the call that is under way; never saved, never printed


def in_stores(function):
    """The function with an argument ``storage_options``, which holds for all files that it opens."""

    @functools.wraps(function)
    def call(*args, storage_options=None, **more):
        before = options.set(checked(storage_options))
        try:
            return function(*args, **more)
        finally:
            options.reset(before)

    signature = inspect.signature(function)
    added = inspect.Parameter("storage_options", inspect.Parameter.KEYWORD_ONLY, default=None)
    call.__signature__ = signature.replace(parameters=[*signature.parameters.values(), added])
    return call


def checked(given):
    """``storage_options`` as polars takes them. RequestError, without the values, if they are none."""
    if given is None:
        return None
    fine = isinstance(given, dict) and all(isinstance(name, str) and isinstance(value, str | int | float) for name, value in given.items())
    if not fine:
        raise RequestError("`storage_options` must be a dict of names to text or numbers, such as {'aws_region': 'eu-west-1'}")
    from fastloss.evaluation.frames import pl

    given = {name: int(value) if name in NUMBERS and str(value).isdecimal() else value for name, value in given.items()}
    for name, value in given.items():
        try:
            pl.scan_lines("s3://bucket/key", storage_options={name: value})
        except (TypeError, ValueError):
            raise RequestError(f"`storage_options` (--storage-option): {name!r} has no value that polars takes for it") from None
    return given


def is_store(path):
    """Whether a path is an address rather than a file's. SourceError if it is one that nothing reads."""
    found = URL.match(path)
    if found and found[1].lower() not in SCHEMES:
        raise SourceError(f"{shown(path)}: addresses are read that begin with {', '.join(SCHEMES)}, then ://; download it")
    return found is not None


def is_web(path):
    return path.lower().startswith(("http:", "https:"))


def name_of(path):
    """The address without a query, which can be a signature."""
    return path.partition("?")[0] if is_web(path) else path


def shown(path):
    """The address as it may be told: without user, password and query (which only https:// has: else, ``?`` is a sign)."""
    secret = is_web(path) or SIGNED.search(path)
    place = path.partition("?")[0] + "?..." if secret and "?" in path else path
    return re.sub(r"://[^/]*@" if is_web(path) else r"://[^/]*:[^/]*@", "://...@", place)  # abfss:// has container@account


def unique(path):
    """The same for two names of one object: schemes have several names, and a store's empty folders are none."""
    rest = path.partition("://")[2]
    return path if is_web(path) else f"{service_of(path)}://{re.sub('/+', '/', rest)}"


def expand(path):
    """The files that an address means: of a pattern or a directory those that polars finds, sorted."""
    from fastloss.evaluation.source import FORMATS, suffix_of

    scheme, _, rest = path.partition("://")
    path = f"{scheme.lower()}://{rest}"
    folder = not is_web(path) and (path.endswith("/") or suffix_of(path) not in FORMATS)
    if is_web(path) or not (folder or is_pattern(path)):
        return [path]
    folder &= not is_pattern(path)
    path = path if path.endswith("/") or not folder else path + "/"
    found = listed(path + "**/*" if folder else pattern(path), path)
    if not found and not folder:  # a name that looks like a pattern
        found = listed(itself(path), path)
    if folder:
        found = [name for name in found if not any(part[:1] in ("_", ".") for part in name[len(path) :].split("/"))]
    if not found:
        raise SourceError(f"no file matches {shown(path)!r}; a directory is a name that others begin with, up to a /")
    for name in found:
        if folder and suffix_of(name) not in FORMATS:
            raise SourceError(f"{name} is in the directory, and of no known kind; give a pattern, such as {path + '**/*.parquet'!r}")
    return sorted(map(str, found))


def listed(asked, path):
    """The files that a pattern, as polars takes it, means; path: what it was made of."""
    from fastloss.evaluation.frames import FAILURES, pl

    try:
        node = pl.scan_lines(asked, storage_options=options.get())._ldf.visit().view_current_node()
        return getattr(node, "paths", [])  # no scan is made of no files
    except FAILURES as error:
        raise failure(error, path) from None
    except AttributeError as error:
        raise SourceError(f"{shown(path)}: polars {pl.__version__} does not tell which files these are; name each") from error


def open_store(path):
    """The Source of one file; errors as open_source has them."""
    from fastloss.evaluation import stored
    from fastloss.evaluation.source import suffix_of

    suffix = suffix_of(name_of(path))
    if suffix not in KINDS:
        remedy = f"of stores, {', '.join(KINDS)} are read; download it, or where its format streams, pipe it into standard input (-)"
        raise SourceError(f"{shown(path)}: {suffix or 'a name without extension'!r} cannot be read from a store: {remedy}")
    headers = web_headers(path)
    size = int(headers.get("Content-Length") or 0)
    return stored.READERS[suffix](path, size, suffix, options.get(), headers)


def web_headers(path):
    """{name: value} of the headers that tell a change, as far as the server tells them."""
    if not is_web(path):
        return {}
    try:
        with urlopen(Request(path, method="HEAD"), timeout=SECONDS) as answer:
            return {name: answer.headers[name] for name in ("Content-Length", "ETag", "Last-Modified") if answer.headers[name]}
    except (OSError, ValueError):  # polars will say what is wrong, if it cannot read it either
        return {}


def identity(source, names):
    """{"bytes", "mtime_ns", "sample"} of a file in a store, as of work.identity: what is known of it. names: the columns that are read."""
    from fastloss.evaluation.frames import FAILURES

    digest = hashlib.blake2b(repr((sorted(source.headers.items()), source.rows, list(source.schema.items()))).encode(), digest_size=16)
    try:
        digest.update(source.sample([name for name in names if name in source.schema], SAMPLE).write_ndjson().encode())
    except FAILURES as error:
        raise source.failed(error) from None
    return {"bytes": source.size, "mtime_ns": 0, "sample": digest.hexdigest()}


def failure(error, path):
    """The error of a store in words: SourceError, but for contents that are bad, which are a DataError. To be raised from None: what polars
    says can hold addresses with signatures, and options' values."""
    text, place, service = str(error), shown(path), service_of(path)
    give = "ask its owner"
    if know := CREDENTIALS.get(service):
        give = f"give credentials: {know} in the environment, or storage_options={{...}} (--storage-option KEY=VALUE)"
    asked_machine = re.search(r"169\.254\.169\.254|metadata\.google", text)  # the last that is asked for credentials, by all clients
    unreached = isinstance(error, ConnectionError | TimeoutError) or re.search("error sending request|dns error", text)
    refused = isinstance(error, PermissionError) or re.search(r"40[13] (Forbidden|Unauthorized)", text)
    if re.search("NoSuchBucket|ContainerNotFound", text):
        return SourceError(f"{place}: there is no such bucket; check its name, and the region or endpoint (--storage-option)")
    if isinstance(error, FileNotFoundError) or "404 Not Found" in text:
        return SourceError(f"{place}: there is no such file in the store")
    if (refused or unreached) and asked_machine:
        return SourceError(f"{place}: no credentials were found; {give}")
    if refused:
        return SourceError(f"{place}: the store refuses access; {give}")
    if unreached:
        more = " (--storage-option aws_endpoint_url=...)" * (service == "s3")
        return SourceError(f"{place}: it cannot be reached: check network, and endpoint{more}")
    # of addresses, signatures are left out; of answers, their XML, which can hold keys
    line = re.sub(r"^parquet: |^object-store error: |<.*|\s*\(path: .*", "", text.strip().split("\n")[0])
    line = re.sub(r"\?\S*", "?...", re.sub(r"://[^/\s]*@", "://...@", line))
    if isinstance(error, OSError) or re.search("object-store error|CloudLocation|configuration key", text):
        return SourceError(f"{place} cannot be read: {line}; check address and storage options (--storage-option KEY=VALUE)")
    return DataError(f"it cannot be read as what its name says, or is truncated or damaged: {line}", place)


def service_of(path):
    """A key of CREDENTIALS, or http or https."""
    scheme = URL.match(path)[1].lower()
    return {"s3a": "s3", "gcs": "gs"}.get(scheme, "az" if scheme.startswith("a") else scheme)
