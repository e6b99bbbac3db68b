"""A stand-in for randomuser.me 1.4 on a loopback port, with the habits of the real service.

`results` of 0, above 5,000 or not a whole number is answered with one user; a seed, `results` and
`page` decide the users; a `page` above 10,000 is page 1; a seed of 18 characters ends with the
number of a nationality, in hexadecimal; over the budget of users comes HTTP 429 with a bare
`error`. Faults can be queued: each answers one request.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

NATIONALITIES = 21


@dataclass
class Fault:
    """One answer out of the ordinary."""

    status: int = 200
    body: bytes = b'{"error": "Uh oh, something has gone wrong."}'
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    # Seconds before each byte; 0 sends all at once.
    drip_seconds: float = 0.0


class RandomUserServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, budget_users: int = 20_000) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.budget_users = budget_users
        self.faults: deque[Fault] = deque()
        self.requests: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api/1.4/"


class _Handler(BaseHTTPRequestHandler):
    server: RandomUserServer

    def do_GET(self) -> None:
        query = {key: values[0] for key, values in parse_qs(urlparse(self.path).query).items()}
        self.server.requests.append(query)
        if self.server.faults:
            fault = self.server.faults.popleft()
            time.sleep(fault.delay_seconds)
            self._answer(fault.status, fault.body, fault.headers, fault.drip_seconds)
            return
        number = query.get("results", "1")
        results = int(number) if number.isdigit() and 1 <= int(number) <= 5000 else 1
        if results > self.server.budget_users:
            self._answer(429, b'{"error": "You have been rate limited."}', {})
            return
        seed, page = query.get("seed", "random"), int(query.get("page", "1"))
        if len(seed) == 18 and not _is_nationality(seed[-2:]):
            self._answer(500, Fault().body, {})
            return
        self.server.budget_users -= results
        page = page if 0 < page <= 10_000 else 1
        users = [user(f"{seed}{page if page > 1 else ''}", index) for index in range(results)]
        info = {"seed": seed, "results": results, "page": page, "version": "1.4"}
        self._answer(200, json.dumps({"results": users, "info": info}).encode(), {})

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str], drip_seconds: float = 0.0
    ) -> None:
        standard = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        try:
            self.send_response(status)
            for name, value in {**standard, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for part in [body[at : at + 1] for at in range(len(body))] if drip_seconds else [body]:
                time.sleep(drip_seconds)
                self.wfile.write(part)
        except ConnectionError:
            self.close_connection = True  # the client went away, as a time-out makes it do

    def log_message(self, format: str, *args: object) -> None:
        return


def _is_nationality(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{2}", text) is not None and int(text, 16) < NATIONALITIES


def answer_of(*users: object) -> bytes:
    """The body of an answer with these users; the text `@3e5@` stands for the number `3e5`."""
    text = json.dumps({"results": users, "info": {"seed": "s", "version": "1.4"}})
    return re.sub(r'"@([^"]+)@"', r"\1", text).encode()


def user(seed: str, index: int) -> dict[str, object]:
    """One user in the full shape of API 1.4, written from its published format."""
    number = abs(int.from_bytes(f"{seed}/{index}".encode()[-16:], "big"))
    return {
        "gender": "female",
        "name": {"title": "Miss", "first": "Jennie", "last": "Nichols"},
        "location": {
            "street": {"number": 8929, "name": "Valwood Pkwy"},
            "city": "Billings",
            "state": "Michigan",
            "country": "United States",
            "postcode": 63104,
            "coordinates": {"latitude": "-69.8246", "longitude": "134.8719"},
            "timezone": {"offset": "+9:30", "description": "Adelaide, Darwin"},
        },
        "email": "jennie.nichols@example.com",
        "login": {
            "uuid": f"{number:032x}",
            "username": "yellowpeacock117",
            "password": "addison",
            "salt": "sld1yGtd",
            "md5": "ab54ac4c0be9480ae8fa5e9e2a5196a3",
            "sha1": "edcf2ce613cbdea349133c52dc2f3b83168dc51b",
            "sha256": "48df5229235ada28389b91e60a935e4f9b73eb4bdb855ef9258a1751f10bdc5d",
        },
        "dob": {"date": "1992-03-08T15:13:16.688Z", "age": 30},
        "registered": {"date": "2007-07-09T05:51:59.390Z", "age": 14},
        "phone": "(272) 790-0888",
        "cell": "(489) 330-2385",
        "id": {"name": "SSN", "value": "405-88-3636"},
        "picture": {
            "large": "https://randomuser.me/api/portraits/men/75.jpg",
            "medium": "https://randomuser.me/api/portraits/med/men/75.jpg",
            "thumbnail": "https://randomuser.me/api/portraits/thumb/men/75.jpg",
        },
        "nat": "US",
    }


@contextmanager
def randomuser_server(budget_users: int = 20_000) -> Iterator[RandomUserServer]:
    """Run the stand-in for the length of a `with` block."""
    server = RandomUserServer(budget_users)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
