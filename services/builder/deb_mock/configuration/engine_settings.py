"""The one place where a configuration becomes what the engine takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deb_mock.configuration.resolve import Configuration
from deb_mock.configuration.settings import Ids, Settings
from deb_mock.engine_config import ArchiveChoice, EngineConfig, PluginSetting, Scratch
from deb_mock.host.defaults import default_tmpfs_bytes
from deb_mock.model import ExtraRepository
from deb_mock.stages import limits
from deborch_shared.sandbox.spec import IdRange, Limits


def engine_config(settings: Settings, proxies: Mapping[str, str]) -> EngineConfig:
    """What an engine for the suite of `settings` is made with."""
    tmpfs_bytes, scratch = _scratch(settings)
    return EngineConfig(
        state_dir=settings.state_dir.absolute(),
        cache_dir=settings.cache_dir.absolute(),
        mirror=settings.mirror,
        archive=ArchiveChoice(
            settings.distribution, settings.pockets, settings.security_mirror, settings.keyring_package
        ),
        keyring=settings.keyring,
        source_keyring=settings.source.keyring,
        tmpfs_bytes=tmpfs_bytes,
        scratch=scratch,
        ids=IdRange(settings.ids.first) if isinstance(settings.ids, Ids) else None,
        backend=settings.backend,
        base_check_interval_s=settings.cache.check_interval,
        base_max_age_s=settings.cache.rebuild_after,
        keep_generations=settings.cache.generations,
        bootstrap=settings.cache.bootstrap,
        unused_max_age_s=settings.cache.unused_after,
        cache_max_bytes=settings.cache.size,
        free_space_floor_bytes=settings.cache.free_space,
        proxies=proxies,
        dsc_signature=settings.source.signature,
        orig_signature=settings.source.orig_signature,
        limits=_limits(settings),
        filtering=settings.isolation.seccomp,
        nested_namespaces=settings.isolation.nested_namespaces,
        network_allowed=settings.network.builds == "on-request",
        plugins=tuple(PluginSetting(one.name, one.enabled, one.required, one.options) for one in settings.plugins),
    )


def request_defaults(settings: Settings) -> dict[str, Any]:
    """Fields of a `BuildRequest` that no option of a command sets."""
    return {
        "components": settings.components,
        "log_limit_bytes": settings.limits.log_size,
        "log_idle_s": settings.limits.log_idle,
    }


def option_defaults(configuration: Configuration) -> dict[str, Any]:
    """Options of commands, by parameter, with the values that somebody configured; the rest keep their own default."""
    settings = configuration.settings
    values: dict[tuple[str, ...], tuple[str, Any]] = {
        ("mirror",): ("mirror", settings.mirror),
        ("state_dir",): ("state_dir", str(settings.state_dir)),
        ("cache_dir",): ("cache_dir", str(settings.cache_dir)),
        ("repositories",): ("extra_repository", [str(path) for path in settings.repositories]),
        ("source", "keyring"): ("source_keyring", settings.source.keyring and str(settings.source.keyring)),
        ("source", "signature"): ("dsc_signature", settings.source.signature.value),
        ("source", "orig_signature"): ("orig_signature", settings.source.orig_signature.value),
        ("build", "resolver"): ("resolver", settings.build.resolver),
        ("build", "first_alternative"): ("resolve_alternatives", not settings.build.first_alternative),
        ("limits", "wall"): ("timeout", settings.limits.wall),
        ("build", "jobs"): ("jobs", settings.build.jobs),
        ("build", "profiles"): ("profile", list(settings.build.profiles)),
        ("build", "options"): ("build_option", list(settings.build.options)),
        ("build", "path"): ("build_path", settings.build.path),
        ("snapshot",): ("snapshot", settings.snapshot),
    }
    chosen = {
        option: value
        for path, (option, value) in values.items()
        if value is not None and configuration.layer.origin(path) is not None
    }
    if settings.tmpfs != "auto":
        chosen["tmpfs_mib"] = 0 if settings.tmpfs == "off" else settings.tmpfs >> 20
    return chosen


def repository(path: Path) -> ExtraRepository:
    """A .sources file as the engine wants it."""
    return ExtraRepository(path.stem.lower(), path.read_text())


def _limits(settings: Settings) -> Limits:
    chosen = settings.limits
    return limits.configured(
        Limits(
            memory_bytes=chosen.memory,
            cpus=chosen.cpus,
            pids=chosen.pids,
            read_bytes_per_s=chosen.read_rate,
            write_bytes_per_s=chosen.write_rate,
        ),
    )


def _scratch(settings: Settings) -> tuple[int | None, Scratch]:
    if settings.tmpfs == "auto":
        return default_tmpfs_bytes(), Scratch.AUTO
    if settings.tmpfs == "off":
        return None, Scratch.DISK
    return settings.tmpfs, Scratch.TMPFS
