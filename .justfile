# The tasks of a developer; `.venv/bin/just --list` shows them. See .github/CONTRIBUTING.md.
set positional-arguments

bin := ".venv/bin"

# Test everything, or the given files and folders: `just test tests/cli/test_usage.py`
test *paths:
    {{bin}}/pytest "$@"

# Lint, check the format, the types and the architecture
lint:
    {{bin}}/ruff check .
    {{bin}}/ruff format --check .
    {{bin}}/mypy
    {{bin}}/lint-imports

# Format the code and renew the tables of the manual
format:
    {{bin}}/ruff format .
    {{bin}}/ruff check --fix .
    {{bin}}/python -m tests.manual write

# The long sweeps that CI runs, too
sweep *paths:
    {{bin}}/pytest -m sweep "$@"

# All that CI runs, in copies of the project
ci:
    .ci/run
