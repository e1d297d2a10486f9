"""Tags in container registries, by the OCI distribution specification 1.1: which digest one has, and moving it."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from deborch_shared.errors import DeborchError, ErrorCode, bounded

_TIMEOUT = aiohttp.ClientTimeout(total=30)
_MANIFEST_BYTES = 4 << 20
_TYPES = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)
_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+)(:\d+)?\Z")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class Registries:
    """Registries as the hub moves tags in them. `auth_file`: logins, as `skopeo login --authfile` writes them."""

    def __init__(self, auth_file: Path | None = None) -> None:
        self._auth_file = auth_file

    async def digest_of(self, image: str, tag: str) -> str | None:
        """Where a tag is; None if there is none."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            status, headers, _ = await self._call(session, "HEAD", image, tag)
        if status == 404:
            return None
        if status != 200 or "Docker-Content-Digest" not in headers:
            raise _refused(image, tag, status)
        return headers["Docker-Content-Digest"]

    async def tag(self, image: str, tag: str, digest: str) -> None:
        """Point `tag` to the manifest `digest`, which is there already."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            status, headers, manifest = await self._call(session, "GET", image, digest)
            if status != 200:
                raise _refused(image, digest, status)
            kind = headers.get("Content-Type", "application/vnd.oci.image.manifest.v1+json")
            status, _, _ = await self._call(session, "PUT", image, tag, manifest, {"Content-Type": kind})
            if status not in {201, 202}:
                raise _refused(image, tag, status)

    async def _call(
        self,
        session: aiohttp.ClientSession,
        method: str,
        image: str,
        reference: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        host, _, name = image.partition("/")
        scheme = "http" if _LOOPBACK.match(host) else "https"
        url = f"{scheme}://{host}/v2/{name}/manifests/{reference}"
        sent = {"Accept": _TYPES, **(headers or {}), **self._login(host)}
        try:
            answer = await _once(session, method, url, sent, body)
            challenge = answer[1].get("WWW-Authenticate", "")
            if answer[0] == 401 and challenge.lower().startswith("bearer"):
                token = await self._token(session, host, dict(_CHALLENGE.findall(challenge)))
                answer = await _once(session, method, url, {**sent, "Authorization": f"Bearer {token}"}, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise DeborchError(
                ErrorCode.SERVICE_UNAVAILABLE,
                f"the registry {host} does not answer: {bounded(str(error) or type(error).__name__, 200)}",
                hint="see that it runs and that the hub reaches it, then try again",
            ) from error
        return answer

    async def _token(self, session: aiohttp.ClientSession, host: str, challenge: Mapping[str, str]) -> str:
        realm = challenge.get("realm", "")
        if not realm.startswith(("https://", "http://127.", "http://localhost")):
            raise aiohttp.ClientError("the registry names no place that gives tokens")
        asked = {key: challenge[key] for key in ("service", "scope") if key in challenge}
        async with session.get(realm, params=asked, headers=self._login(host)) as response:
            answer = orjson.loads(await response.read()) if response.status == 200 else {}
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise aiohttp.ClientError("the registry gave no token")
        return token

    def _login(self, host: str) -> dict[str, str]:
        if self._auth_file is None:
            return {}
        try:
            content: dict[str, Any] = orjson.loads(self._auth_file.read_bytes())
            login = content.get("auths", {}).get(host, {}).get("auth", "")
            return {"Authorization": f"Basic {base64.b64encode(base64.b64decode(login)).decode()}"} if login else {}
        except (OSError, ValueError, AttributeError) as error:
            raise DeborchError(
                ErrorCode.INVALID_SETTING,
                f"the logins in {self._auth_file} cannot be read: {bounded(str(error), 200)}",
                hint="write it with `skopeo login --authfile`",
            ) from error


async def _once(
    session: aiohttp.ClientSession, method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> tuple[int, Mapping[str, str], bytes]:
    async with session.request(method, url, headers=headers, data=body) as response:
        content = await response.content.read(_MANIFEST_BYTES)
        while not response.content.at_eof() and len(content) < _MANIFEST_BYTES:
            content += await response.content.read(_MANIFEST_BYTES - len(content))
        return response.status, response.headers.copy(), content


def _refused(image: str, reference: str, status: int) -> DeborchError:
    hint = "see that the hub's login for it may push (DEBORCH_HUB_REGISTRY_AUTH_FILE)"
    return DeborchError(
        ErrorCode.SERVICE_UNAVAILABLE if status >= 500 else ErrorCode.CONFLICT,
        f"the registry answered {status} for {image} at {reference}",
        hint="try again when it is well" if status >= 500 else hint,
    )
