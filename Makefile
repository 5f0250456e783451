# Everything a developer does here, in a dozen words.  `make help` prints them.
PRESET ?= release#                  dev | release | asan | tsan | fuzz
CORES  ?= $(shell nproc)
BUILD  := build/$(PRESET)
SRC     = $(shell git ls-files -co --exclude-standard '*.h' '*.cc')
-include Makefile.local#            your own PRESET, CORES; ignored by git

.DEFAULT_GOAL := help
.PHONY: help deps build run stop test fuzz chaos bench bench-million lint format clean

help:    ## print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
deps:    ## install compilers, libraries and servers (Debian packages)
	@scripts/deps.sh $(if $(filter asan tsan fuzz,$(PRESET)),all)
build: deps ## compile PRESET (default release)
	@test -f $(BUILD)/build.ninja || cmake --preset $(PRESET)
	@cmake --build --preset $(PRESET) -j $(CORES)
run: build ## start redis, nats, comet, logic, job; COMETS=2 LOGICS=2 JOBS=2 for a small cluster
	@COMETS=$(COMETS) LOGICS=$(LOGICS) JOBS=$(JOBS) scripts/trio.sh start $(BUILD)
stop:    ## stop what `make run` started, nothing else
	@scripts/trio.sh stop
test: build ## unit, integration and browser tests; PRESET=asan or tsan: the same, sanitized
	@scripts/deps.sh test
	@scripts/test.sh $(BUILD)
fuzz:    ## fuzz every parser for TIME seconds each (default 60)
	@scripts/deps.sh all
	@test -f build/fuzz/build.ninja || cmake --preset fuzz
	@cmake --build --preset fuzz --target fuzzers -j $(CORES)
	@scripts/fuzz.sh build/fuzz $(or $(TIME),60)
chaos: build ## kill everything, lose nothing: 10 seeds, half an hour; SEED=n SECONDS=n for one
	@scripts/deps.sh test
	@ENCKE_BUILD=$(BUILD) scripts/chaos.sh "$(SEED)" "$(SECONDS)"
bench: build ## every claim on a small scale, in five minutes (bench/README.md)
	@ENCKE_BUILD=$(BUILD) python3 bench/lab/short.py
bench-million: build ## a million connections on this machine: the headline run
	@ENCKE_BUILD=$(BUILD) python3 bench/lab/million.py
lint: build ## layers, sizes, format, clang-tidy
	@scripts/deps.sh all
	@python3 scripts/tidy.py
	@python3 scripts/mutants.py --check
	@python3 tests/chaos/mutants.py --check
	@clang-format --dry-run --Werror $(SRC)
	@run-clang-tidy -quiet -extra-arg=-Wno-unknown-warning-option -p $(BUILD) '$(CURDIR)/(internal|cmd)/' 2>/dev/null
format:  ## rewrite sources in our format
	@clang-format -i $(SRC)
clean:   ## remove build/ and run/ (after make stop)
	@rm -rf build run
