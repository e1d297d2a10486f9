"""A caching proxy such as apt-cacher-ng or squid-deb-proxy for everything that apt fetches."""

import socket
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failure
from deb_mock.plugins.api import Plugin, PluginOptions, hookimpl
from deborch_shared.errors import ErrorCode

_ANSWERS_WITHIN_S = 2.0


class AptProxyOptions(PluginOptions):
    """Options of apt-proxy."""

    url: str = Field(description="Such as http://proxy.example.org:3142.")
    https: bool = Field(False, description="Whether https is fetched through it too; caching proxies seldom can.")
    fall_back: bool = Field(False, description="Whether to go on without it if it does not answer.")

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("must be http://HOST[:PORT]")
        return value


class AptProxy(Plugin):
    """For bases, build dependencies and sources alike; the build itself has no network."""

    name: ClassVar[str] = "apt-proxy"
    summary: ClassVar[str] = "apt fetches through a caching proxy."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = AptProxyOptions
    options: AptProxyOptions

    @hookimpl
    def configuration_resolved(self, config: EngineConfig) -> EngineConfig | None:
        """Set the proxy variables, if it is there."""
        if (problem := self._problem()) is None:
            schemes = ("http", "https") if self.options.https else ("http",)
            return replace(
                config, proxies={**config.proxies, **{f"{scheme}_proxy": self.options.url for scheme in schemes}}
            )
        if self.options.fall_back:
            return None
        raise failure(
            FailureClass.FETCH,
            ErrorCode.FETCH_FAILED,
            f"the proxy {self.options.url} does not answer: {problem}",
            hint="start it, correct the url, or set fall_back to go on without it",
        )

    def _problem(self) -> str | None:
        parts = urlsplit(self.options.url)
        try:
            socket.create_connection((str(parts.hostname), parts.port or 80), timeout=_ANSWERS_WITHIN_S).close()
        except OSError as error:
            return str(error.strerror or error)
        return None
