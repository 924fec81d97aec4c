#!/usr/bin/env bash
# Runs bin/hearthd with 64 MB of RAM and a flash tier of 1 GB in ./hearth-data,
# and shows a value that goes out to flash and comes back. From a terminal the
# server then keeps running until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
port=${PORT:-11311} dir=${DIR:-./hearth-data}

say() { printf '\n$ %s\n' "$*"; }
# ask sends a command and prints the reply, up to the line that ends it.
ask() {
	say "$1"
	printf '%s\r\n' "$@" >&3
	while read -r -t 10 line <&3; do
		line=${line%$'\r'}
		printf '%s\n' "$line"
		case $line in END | STORED | OK | VERSION* | *ERROR*) return ;; esac
	done
	echo "no answer from hearthd" >&2
	return 1
}
stat() {
	printf 'stats\r\n' >&3
	while read -r -t 10 line <&3; do
		line=${line%$'\r'}
		case $line in "STAT $1 "*) echo "${line##* }" ;; END) return ;; esac
	done
}

say "bin/hearthd -p $port -l 127.0.0.1 -m 64 -o ext_path=$dir:1g"
bin/hearthd -p "$port" -l 127.0.0.1 -m 64 -o "ext_path=$dir:1g" &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
	kill -0 $server 2>/dev/null || exit 1
	{ exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null && break
	sleep 0.1
done

ask "set greeting 0 0 5" "hello"
ask "get greeting"
ask "set letter 0 0 11" "from memory"

say "2,000 values of 100 kB more, three times what fits into -m 64"
value=$(printf "%0100000d" 0)
for i in $(seq 2000); do
	printf 'set filler:%d 0 0 100000 noreply\r\n%s\r\n' "$i" "$value" >&3
done
ask "get letter"
echo
echo "read back from flash so far: $(stat get_extstore) values; evicted: $(stat evictions)"

if [ -t 0 ]; then
	echo "hearthd listens on 127.0.0.1:$port; Ctrl-C stops it"
	wait $server
fi
