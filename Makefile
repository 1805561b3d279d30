# make drive [ARGS="--scenario stop_go --seed 7"]   set up, then drive the shipped model
# make test                                         set up, then linters, type checker and tests
SHELL := /bin/bash
ARGS ?=
TESTS ?= tests

.PHONY: help setup drive test lint clean

help:
	@sed -n '1,2s/^# //p' Makefile; echo "make setup | lint | clean"

setup:
	@sh scripts/setup.sh

drive: setup
	@. scripts/env.sh && wm drive $(ARGS)

lint: setup
	@. scripts/env.sh && ruff check . && mypy

test: lint
	@. scripts/env.sh && exec python scripts/run_tests.py $(TESTS) $(ARGS)

clean:
	rm -rf build install log .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
