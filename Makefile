# Every command sets up what it needs; `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
# While Python starts, Ctrl-C would end in a traceback: it is blocked until Python can handle it.
HELD := $(shell env --block-signal=INT true 2>/dev/null && echo env --block-signal=INT)
# Modules of this checkout take precedence over those on PYTHONPATH.
MILLRACE := $(HELD) .venv/bin/python -m operations.cli
# The first keeps virtual environments from finding packages; the others claim that spark-submit runs.
unexport PYTHONHOME PYSPARK_GATEWAY_PORT PYSPARK_GATEWAY_SECRET
# Text and file names are UTF-8 whatever the locale.
export PYTHONUTF8 := 1

# Values given as NAME=… reach the commands as environment variables, unexpanded by make and never
# pasted into a shell line: quotes and dollars in CQL="…" arrive as typed.
VALUES := TICKETS PROFILES CUSTOMERS SEED PIPELINE COUNT FILE TOPICS YES SERVICE WHAT TEAM HOUR CLIENT NATIONALITY WHERE LIMIT \
  FORMAT OUTPUT EXCEL_SAFE CODE CQL EVAL ROUNDS
unexport $(VALUES)
# Shells may export the width of the terminal under this name: a command gets both.
$(foreach name,$(VALUES) COLUMNS,$(eval export ARG_$(name) := $$(value $(name))))
# All names given as NAME=…, so that a command can refuse one that is misspelt.
export GIVEN_NAMES := $(foreach name,$(.VARIABLES),$(if $(findstring command,$(origin $(name))),$(name)))

.PHONY: help
help: ## list the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup setup-dev
setup: ## make or repair .venv (every command does this automatically)
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo 'set-up: there is no `$(PYTHON)`. Install Python 3.11, or name it: PYTHON=/path/to/python3.11 make …' >&2; \
	  exit 1; }
	@$(HELD) "$(PYTHON)" -E local_stack/bootstrap.py
setup-dev: ## the same, with the tools for tests and linters
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo 'set-up: there is no `$(PYTHON)`. Install Python 3.11, or name it: PYTHON=/path/to/python3.11 make …' >&2; \
	  exit 1; }
	@$(HELD) "$(PYTHON)" -E local_stack/bootstrap.py --dev

.PHONY: run up down secrets reset stream top doctor status dashboard report logs show verify chaos bench bench-long pyspark cqlsh mongosh
run: setup ## everything, from nothing to verified results (PIPELINE= COUNT= FILE= TICKETS= PROFILES= CUSTOMERS= SEED=)
	@$(MILLRACE) run $${ARG_PIPELINE:+--pipeline "$$ARG_PIPELINE"} \
	  $${ARG_COUNT:+--count "$$ARG_COUNT"} $${ARG_FILE:+--file "$$ARG_FILE"} $${ARG_TICKETS:+--tickets "$$ARG_TICKETS"} \
	  $${ARG_PROFILES:+--profiles "$$ARG_PROFILES"} \
	  $${ARG_CUSTOMERS:+--customers "$$ARG_CUSTOMERS"} $${ARG_SEED:+--seed "$$ARG_SEED"}
up: setup ## start and prepare the services
	@$(MILLRACE) up
down: setup ## stop the services; data stays (YES=1 ends jobs and producers first)
	@case "$$ARG_YES" in ''|1) ;; *) \
	  echo "down: YES=$$ARG_YES: only 1 means yes. Nothing was changed." >&2; exit 2;; esac
	@$(MILLRACE) down $${ARG_YES:+--yes}
secrets: setup ## make the files with keys and passwords for containers (STACK=docker)
	@$(MILLRACE) secrets
reset: setup ## delete checkpoints and stored data (PIPELINE= TOPICS=1 YES=1)
	@case "$(origin PIPELINE):$$ARG_PIPELINE" in 'command line:'|environment:) \
	  echo 'reset: PIPELINE= is empty: name one, or leave it out for all. Nothing was changed.' >&2; exit 2;; esac
	@for each in "TOPICS=$$ARG_TOPICS" "YES=$$ARG_YES"; do case "$$each" in *=|*=1) ;; *) \
	  echo "reset: $$each: only 1 means yes. Nothing was changed." >&2; exit 2;; esac; done
	@$(MILLRACE) reset $${ARG_PIPELINE:+--pipeline "$$ARG_PIPELINE"} \
	  $${ARG_TOPICS:+--topics} $${ARG_YES:+--yes}
stream: setup ## producers at their rate and jobs, until Ctrl-C
	@$(MILLRACE) stream
status: setup ## services, topics, lag, rows per sink, dead letters, jobs
	@$(MILLRACE) status
top: setup ## live board in the terminal: services, lag, rates, batches, dead letters; Ctrl-C ends it
	@$(MILLRACE) top
doctor: setup ## check machine, versions, services, topics, tables: ok or the fix; changes nothing
	@$(MILLRACE) doctor
dashboard: setup ## web page with all of it, until Ctrl-C (DASHBOARD_PORT)
	@$(MILLRACE) dashboard
report: setup ## one page to keep or to mail, and the same as JSON (OUTPUT=output/report.html)
	@$(MILLRACE) report $${ARG_OUTPUT:+--output "$$ARG_OUTPUT"}
logs: setup ## follow a log (SERVICE=kafka)
	@$(MILLRACE) logs $${ARG_SERVICE:+"$$ARG_SERVICE"}
show: setup ## a topic, table, collection as a table (WHAT= TEAM= HOUR= CLIENT= NATIONALITY= WHERE= LIMIT= FORMAT= COLUMNS= EXCEL_SAFE=1)
	@case "$$ARG_EXCEL_SAFE" in ''|1) ;; *) \
	  echo "show: EXCEL_SAFE=$$ARG_EXCEL_SAFE: only 1 means yes." >&2; exit 2;; esac
	@$(MILLRACE) show $${ARG_WHAT:+"$$ARG_WHAT"} $${ARG_TEAM:+--team "$$ARG_TEAM"} \
	  $${ARG_HOUR:+--hour "$$ARG_HOUR"} $${ARG_CLIENT:+--client "$$ARG_CLIENT"} \
	  $${ARG_NATIONALITY:+--nationality "$$ARG_NATIONALITY"} $${ARG_WHERE:+--where "$$ARG_WHERE"} \
	  $${ARG_LIMIT:+--limit "$$ARG_LIMIT"} $${ARG_FORMAT:+--format "$$ARG_FORMAT"} \
	  $${ARG_COLUMNS:+--columns "$$ARG_COLUMNS"} $${ARG_EXCEL_SAFE:+--excel-safe}
verify: setup ## prove that nothing is lost or doubled
	@$(MILLRACE) verify
chaos: setup ## crash tests under load, on a separate stack (ROUNDS= SEED=)
	@$(MILLRACE) chaos $${ARG_ROUNDS:+--rounds "$$ARG_ROUNDS"} $${ARG_SEED:+--seed "$$ARG_SEED"}
pyspark: setup ## a PySpark shell with connectors and endpoints, or one statement (CODE="…")
	@$(MILLRACE) pyspark $${ARG_CODE:+--execute "$$ARG_CODE"}
bench: setup ## benchmark on a separate stack; 17 minutes (TICKETS= PROFILES= ROUNDS=)
	@$(MILLRACE) bench $${ARG_TICKETS:+--tickets "$$ARG_TICKETS"} \
	  $${ARG_PROFILES:+--profiles "$$ARG_PROFILES"} $${ARG_ROUNDS:+--rounds "$$ARG_ROUNDS"}
bench-long: setup ## the same with 10 million tickets and thousands of batches; one hour (TICKETS=)
	@$(MILLRACE) bench --long $${ARG_TICKETS:+--tickets "$$ARG_TICKETS"}
cqlsh: setup ## the Cassandra shell, or one statement (CQL="…")
	@$(MILLRACE) cqlsh $${ARG_CQL:+--execute "$$ARG_CQL"}
mongosh: setup ## the MongoDB shell, or one expression (EVAL="…")
	@$(MILLRACE) mongosh $${ARG_EVAL:+--eval "$$ARG_EVAL"}

.PHONY: test test-quick test-unit test-browser test-spark test-integration test-e2e lint format lock
# Each tier runs in a separate process: a Spark session with the connectors and one without do not
# fit into one. Two workers, each with a Spark session or a stack of its own, as one test waits more than
# it computes, three without Spark; WORKERS=0 does without. Files in the order of tests/support/order.py.
WORKERS ?= 2
UNIT_WORKERS ?= $(if $(filter-out 0 1,$(WORKERS)),3,$(WORKERS))
# With that variable each of several hundred processes would compile its modules again.
PYTEST := env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m pytest -n $(WORKERS) \
  --dist loadfile --no-loadscope-reorder --durations=30 --durations-min=5
test: setup-dev ## the whole test suite
	@$(PYTEST) -n $(UNIT_WORKERS) tests/unit tests/browser
	@$(PYTEST) tests/spark
	@$(PYTEST) tests/integration tests/e2e
test-quick: setup-dev ## tests that need no service, and a few that do; about six minutes
	@$(PYTEST) -n $(UNIT_WORKERS) tests/unit
	@$(PYTEST) tests/spark
	@$(PYTEST) -m quick tests/integration
test-unit: setup-dev ## tests that need only Python
	@$(PYTEST) -n $(UNIT_WORKERS) tests/unit
test-browser: setup-dev ## tests of the dashboard in Chromium; skipped where there is none
	@$(PYTEST) tests/browser
test-spark: setup-dev ## tests that need a local JVM
	@$(PYTEST) tests/spark
test-integration: setup-dev ## tests that need broker and stores
	@$(PYTEST) tests/integration
test-e2e: setup-dev ## tests of the whole platform
	@$(PYTEST) tests/e2e
.PHONY: test-docker
# One story in the order of its file: what fails ends it.
test-docker: setup-dev ## image and containers on a Docker engine, about half an hour; skipped where none can be had
	@.venv/bin/python -m pytest -v --exitfirst --durations=0 --durations-min=1 tests/docker
.PHONY: test-cluster
test-cluster: setup-dev ## rings of Cassandra and Kafka, two workers; each killed under load; half an hour
	@.venv/bin/python -m pytest -v --exitfirst --durations=0 --durations-min=1 tests/cluster
lint: setup-dev ## static checks; edits nothing
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/python -m tests.support.vocabulary
format: setup-dev ## format the code
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .
.PHONY: screenshots vendor sbom
sbom: setup-dev ## list all packages, jars and web files of the image, as CycloneDX JSON (OUTPUT=output/sbom.cdx.json)
	@.venv/bin/python -m tests.support.sbom
screenshots: setup-dev ## pictures of every page of the dashboard, in output/screenshots
	@.venv/bin/python -m tests.support.screenshots
vendor: setup-dev ## bring the web libraries of the dashboard at their pinned versions (needs npm)
	@.venv/bin/python -m tests.support.vendored
LOCK := uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header pyproject.toml
lock: ## regenerate the lock files from pyproject.toml
	@command -v uv >/dev/null 2>&1 || { \
	  echo 'make lock needs `uv` (https://docs.astral.sh/uv): pip install uv' >&2; exit 1; }
	@$(LOCK) -o requirements.lock
	@$(LOCK) --extra embedded -c requirements.lock -o requirements-embedded.lock
	@$(LOCK) --extra embedded --extra dev -c requirements-embedded.lock -o requirements-dev.lock
