GO       ?= go
FUZZTIME ?= 10s
BENCH    ?= .
COUNT    ?= 6
BENCHPKG ?= ./...
ROUNDS   ?= 200
CRASH    ?=
SOAK     ?= 1h
SOAKMEM  ?= 256
SOAKDISK ?= 4g
SOAKOUT  ?= soak

.PHONY: test race lint fuzz crashtest killtest bench soak build man demo clean

# What a change must pass. Vet has been over the tests when they begin. Those against
# memcached skip where it is not installed, unless CI is set.
test:
	$(GO) vet ./...
	$(GO) test -vet=off ./...

# The same under the race detector, which takes five times as long: with fewer rounds,
# and without what one goroutine measures.
race:
	$(GO) test -race -short -vet=off ./...

# Import arrows, sizes, comments, gofmt. Part of test as well.
lint:
	$(GO) vet ./...
	$(GO) test -count=1 -run '^TestLint' .

# Every fuzz target for FUZZTIME.
fuzz:
	@for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "== $$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

# ROUNDS times load on hearthd, ended by SIGKILL or SIGTERM: no value that comes
# back may be stale or wrong. CRASH has more flags, see tools/crashtest -h.
crashtest:
	$(GO) run ./tools/crashtest -rounds $(ROUNDS) $(CRASH)

# One SIGKILL under 50,000 sets a second with two million values on flash: whatever
# had reached the catalog must be back.
killtest:
	$(GO) run ./tools/crashtest -sets 50000 $(CRASH)

# The benchmarks that match BENCH; with OLD=commit also that commit's, and the
# difference between the two.
bench:
	GO="$(GO)" BENCH='$(BENCH)' COUNT=$(COUNT) BENCHPKG='$(BENCHPKG)' tools/bench.sh $(OLD)

# Gets, sets, deletes, touches and expiries for SOAK on a hearthd whose flash is full
# all the while: fails if memory grows, a value is wrong or stale, or a request stalls
# while flash is reclaimed. SOAKOUT gets the report, the samples and the graphs.
soak: build
	bin/hearth bench soak 'bin/hearthd -u root -p {port} -l 127.0.0.1 -U 0 -m $(SOAKMEM) -o ext_path={dir}:$(SOAKDISK)' \
		--for $(SOAK) --out $(SOAKOUT)

build:
	$(GO) build -o bin/hearthd ./cmd/hearthd
	$(GO) build -o bin/hearth ./cmd/hearth

# The manual pages of hearthd, and of hearth and its commands, in bin/man.
man: build
	bin/hearth man bin/man/man1
	cp docs/hearthd.1 bin/man/man1

# Runs hearthd with a flash tier in ./hearth-data, and shows a set and a get.
demo: build
	tools/demo.sh

clean:
	rm -rf bin hearth-data bench.txt soak
