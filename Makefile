# What developers run. bin/test --setup-only makes .venv first; bench sets up for itself.
# any uv will do: it is needed for `make lock` only
UV ?= uv
# no index and no host name is written: each machine uses the index that its own pip is set up with
COMPILE := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-strip-extras --extra local --group build \
	--custom-compile-command "make lock"

.PHONY: lint type imports test bench bench-compose bench-mock bench-quick docs lock

lint:
	.venv/bin/ruff check
	.venv/bin/ruff format --check

type:
	.venv/bin/mypy

imports:
	.venv/bin/lint-imports

test:
	./bin/test

bench:
	./bin/bench

bench-compose:
	./bin/bench --only compose

bench-mock:
	./bin/bench --only mock

bench-quick:
	./bin/bench --quick

docs:
	.venv/bin/mkdocs build --strict --site-dir build/docs

lock:
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock --group test --group docs --output-file requirements-test.lock
	$(COMPILE) --constraint requirements-test.lock --group test --group docs --group bench --output-file requirements-bench.lock
