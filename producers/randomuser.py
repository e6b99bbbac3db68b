"""Profiles from the randomuser.me API, version 1.4.

A client must know how the service behaves (github.com/RandomAPI/Randomuser.me-Node):

- `results` of 0, above 5,000 or not a whole number silently becomes 1, so the count is compared;
- the limit is 20,000 *users* per address in five minutes, then HTTP 429;
- an error can be a bare `{"error": …}` with any status, even 200;
- numbers may have any size and texts lone surrogates: values that JSON with 64-bit numbers and
  UTF-8 cannot represent are refused, never changed;
- the last two of exactly 18 characters of a seed are a nationality, and most such seeds an error;
- a page above 10,000 silently becomes page 1, and the digits of a page are appended to the seed;
- a seed repeats only with the same `results`, and pages of a seed differ. So ascending pages of one
  seed, and of the next seed after page 10,000, never repeat a user.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson
import requests
from urllib3.exceptions import DecodeError, HTTPError, InvalidHeader
from urllib3.exceptions import TimeoutError as AnswerTimeout
from urllib3.util import Retry

from errors import DeliveryError
from runtime import remedies

BASE_URL: Final = "https://randomuser.me/api/1.4/"
LARGEST_PAGE: Final = 5000
LAST_PAGE: Final = 10_000
CONNECT_TIMEOUT_SECONDS: Final = 5.0
READ_TIMEOUT_SECONDS: Final = 30.0
# For a whole answer, even if it arrives in small pieces.
ANSWER_SECONDS: Final = 120.0
# 5,000 profiles are 6 MB.
LARGEST_ANSWER_BYTES: Final = 64 * 1024 * 1024
BUDGET_USERS: Final = 20_000
BUDGET_SECONDS: Final = 300.0
FIRST_DELAY_SECONDS: Final = 1.0
LARGEST_DELAY_SECONDS: Final = 60.0
# A little longer than the limit's window, after which waiting longer does not help.
PATIENCE_SECONDS: Final = 330.0
# Attempts after failures other than the limit.
ATTEMPTS: Final = 5
# `-9223372036854775808` and `18446744073709551615`.
LONGEST_INTEGER: Final = 20
PROBE_SECONDS: Final = 4.0
TOO_MANY_REQUESTS: Final = 429

Profile = dict[str, Any]


class ProfileSourceError(DeliveryError):
    """The API gave no profiles, so none of them were sent."""


class _Trouble(Exception):
    """One failed request: why, how long the service asks to wait, whether trying again can help."""

    def __init__(
        self, why: str, *, limited: bool = False, retry_after: float | None = None,
        hopeless: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(why)
        self.limited = limited
        self.retry_after = retry_after
        self.hopeless = hopeless


class RandomUserClient:
    """Reads pages of profiles; waits for the service if that helps, within limits."""

    def __init__(
        self,
        *,
        seed: str,
        base_url: str = BASE_URL,
        sleep: Callable[[float], None] = time.sleep,
        stopped: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        timeouts: tuple[float, float] = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Prepare; no request is sent yet.

        Args:
            seed: Seed of the whole run, of the same length for every run, and not of 14 to 18
                characters.
            base_url: Address of the API.
            sleep: Waits; may return early when a stop was requested.
            stopped: Whether a stop was requested.
            clock: Monotonic seconds.
            timeouts: Seconds to connect, seconds without data.
            patience_seconds: Longest total time for one page.
        """
        self._seed = seed
        self._url = base_url
        self.sleep = sleep
        self.stopped = stopped
        self._clock = clock
        self._timeouts = timeouts
        self._patience = patience_seconds
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "millrace"
        self._spent: deque[tuple[float, int]] = deque()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def page(self, number: int, results: int) -> list[Profile]:
        """Read page `number` (from 1) of `results` profiles, 1 to 5,000; empty if stopped.

        Raises:
            ProfileSourceError: The service did not give that many profiles in time.
        """
        if not 1 <= results <= LARGEST_PAGE:
            raise ValueError(f"expected 1 to {LARGEST_PAGE} results, not {results}")
        self._await_budget(results)
        end, delay, attempt = self._clock() + self._patience, FIRST_DELAY_SECONDS, 0
        while not self.stopped():
            attempt += 1
            try:
                return self._ask(number, results)
            except _Trouble as trouble:
                wait = delay if trouble.retry_after is None else max(trouble.retry_after, 1.0)
                late = self._clock() + wait > end
                if trouble.hopeless or late or (attempt >= ATTEMPTS and not trouble.limited):
                    raise ProfileSourceError(
                        f"`{self._url}` gave no page {number} of {results} profiles after"
                        f" {attempt} attempt(s): {trouble}. Try again later, or use"
                        f" `{remedies.again('--source offline')}`."
                    ) from trouble
                self.sleep(wait)
                delay = min(2 * delay, LARGEST_DELAY_SECONDS)
        return []

    def probe(self, seconds: float = PROBE_SECONDS) -> str | None:
        """Ask for one profile and wait at most `seconds`; None if it came, else the reason."""
        answers: list[str | None] = []

        def ask() -> None:
            try:
                self._ask(1, 1)
                answers.append(None)
            except _Trouble as trouble:
                answers.append(str(trouble))

        # In a thread, as name resolution and proxies ignore the time-out.
        thread = threading.Thread(target=ask, name="randomuser-probe", daemon=True)
        thread.start()
        thread.join(seconds)
        return answers[0] if answers else f"no answer within {seconds:g} s"

    def _await_budget(self, users: int) -> None:
        """Wait until `users` more are within the service's limit for five minutes."""
        while not self.stopped():
            now = self._clock()
            while self._spent and self._spent[0][0] <= now - BUDGET_SECONDS:
                self._spent.popleft()
            if sum(spent for _, spent in self._spent) + users <= BUDGET_USERS:
                return
            self.sleep(self._spent[0][0] + BUDGET_SECONDS - now)

    def _ask(self, number: int, results: int) -> list[Profile]:
        earlier, page = divmod(number - 1, LAST_PAGE)
        seed = f"{self._seed}-{earlier}-" if earlier else self._seed
        parameters: dict[str, str | int] = {"results": results, "seed": seed, "page": page + 1}
        try:
            with self._session.get(
                self._url, params=parameters, timeout=self._timeouts, stream=True
            ) as answer:
                body = self._body(answer)
        # Also urllib3's errors and ValueError, for instance from redirects to invalid addresses.
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise _Trouble(_why(error)) from error
        if answer.status_code == TOO_MANY_REQUESTS:
            raise _Trouble(
                "the service's limit is reached (HTTP 429)",
                limited=True, retry_after=_retry_after(answer.headers),
            )  # fmt: skip
        if answer.status_code != requests.codes.ok:
            raise _Trouble(
                f"HTTP {answer.status_code}",
                retry_after=_retry_after(answer.headers),
                hopeless=answer.status_code < requests.codes.server_error
                and not _is_bare_error(body),
            )
        profiles = _profiles_of(body)
        self._spent.append((self._clock(), len(profiles)))
        if len(profiles) != results:
            raise _Trouble(f"asked for {results} profiles, received {len(profiles)}")
        if not all(_has_uuid(profile) for profile in profiles):
            raise _Trouble("the answer has a profile without the text `login.uuid`")
        return profiles

    def _body(self, answer: requests.Response) -> bytes:
        """The whole answer, unpacked; read in pieces, as a slow service may send for hours."""
        body, end = bytearray(), self._clock() + ANSWER_SECONDS
        while part := answer.raw.read1(65_536, decode_content=True):
            body += part
            if len(body) > LARGEST_ANSWER_BYTES:
                raise _Trouble("the answer is larger than any page of profiles", hopeless=True)
            if self._clock() > end:
                raise _Trouble("the answer took too long")
        return bytes(body)


def api_profiles(
    client: RandomUserClient, *, count: int, per_request: int, pause_seconds: float
) -> Iterator[Profile]:
    """Yield `count` profiles (0 = endless), page by page, with a pause in between.

    Raises:
        ProfileSourceError: The service stopped giving profiles.
    """
    size = min(max(per_request, 1), LARGEST_PAGE)
    given, number = 0, 0
    while (not count or given < count) and not client.stopped():
        if number:
            client.sleep(pause_seconds)
        number += 1
        page = client.page(number, min(size, count - given) if count else size)
        yield from page
        given += len(page)


def _is_bare_error(body: bytes) -> bool:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "error" in content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _profiles_of(body: bytes) -> list[Profile]:
    """The profiles in an answer with status 200, which may still be an error.

    A fraction keeps its text, as an `orjson.Fragment`.
    """
    try:
        content = json.loads(
            body, parse_int=_integer, parse_float=_fraction, parse_constant=_no_constant
        )
    except OverflowError as error:
        raise _Trouble("the answer has a number too large for 64 bits") from error
    except (ValueError, RecursionError) as error:
        raise _Trouble("the answer is not JSON") from error
    if not isinstance(content, dict):
        raise _Trouble("the answer is not a JSON object")
    profiles = content.get("results")
    if not isinstance(profiles, list) or not all(isinstance(p, dict) for p in profiles):
        if "error" in content:
            raise _Trouble("the service answered with an error instead of profiles")
        raise _Trouble("the answer has no list `results` of profiles")
    try:
        orjson.dumps(profiles)
    except orjson.JSONEncodeError as error:
        raise _Trouble(f"the answer cannot be sent on unchanged: {error}") from error
    return profiles


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER or not -(2**63) <= int(text) < 2**64:
        raise OverflowError
    return int(text)


def _fraction(text: str) -> orjson.Fragment:
    if not math.isfinite(float(text)):
        raise OverflowError
    return orjson.Fragment(text)


def _has_uuid(profile: Profile) -> bool:
    login = profile.get("login")
    return isinstance(login, dict) and isinstance(login.get("uuid"), str) and bool(login["uuid"])


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by a Retry-After header, which has a number or a date; None if neither."""
    try:
        return Retry(retry_after_max=10**6).parse_retry_after(headers.get("Retry-After", ""))
    except (InvalidHeader, ValueError, OverflowError):
        return None


WHYS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (requests.exceptions.ConnectTimeout, "no connection in time"),
    ((requests.exceptions.Timeout, AnswerTimeout), "the answer took too long"),
    (requests.exceptions.SSLError, "the TLS certificate was not accepted"),
    (requests.exceptions.ProxyError, "the proxy did not let the request through"),
    (requests.exceptions.TooManyRedirects, "the service redirects in a circle"),
    (requests.exceptions.ConnectionError, "no connection"),
    (DecodeError, "the answer's compression is damaged"),
    (HTTPError, "the answer broke off"),
)


def _why(error: Exception) -> str:
    """One line for the usual causes; the library's own messages have several."""
    return next((why for kind, why in WHYS if isinstance(error, kind)), type(error).__name__)
