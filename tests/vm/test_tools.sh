#!/usr/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
#
# Programs that know nothing of achan use a channel as they use a pipe: the
# shell's redirection, cat, dd, socat, python. A channel gives no end of file, so
# each reader knows by itself how much it wants.

. /tests/vm/tap.sh

stream=${ACHAN_STREAM:-/dev/achan0}
message=${ACHAN_MESSAGE:-/dev/achan1}
small=${ACHAN_STREAM_SMALL:-/dev/achan2}
data=/bin/busybox
bytes=1048576

sum() {
	sha256sum | cut -d ' ' -f 1
}

sent() {
	head -c "$bytes" "$data" | sum
}

# equal SUM: what standard input carries has it
equal() {
	received=$(sum)
	[ "$received" = "$1" ] || fail "received $received, sent $1"
}

redirection_carries_a_line() {
	echo "a line" >"$stream"
	read -r line <"$stream"
	[ "$line" = "a line" ]
}

redirection_carries_a_line_as_a_message() {
	echo "a line" >"$message"
	[ "$(dd if="$message" bs=4096 count=1 2>/dev/null)" = "a line" ]
}

cat_writes_and_head_reads_a_megabyte() {
	head -c "$bytes" "$data" | limited cat >"$stream" &
	limited head -c "$bytes" <"$stream" | equal "$(sent)"
	wait
}

cat_reads_until_it_is_killed() {
	cat "$stream" >/tmp/cat.out &
	reader=$!
	head -c 10000 "$data" >"$stream"
	until [ "$(wc -c </tmp/cat.out)" = 10000 ]; do
		[ -e "/proc/$reader" ] || fail "cat ended"
		sleep 0.1
	done
	kill "$reader"
	equal "$(head -c 10000 "$data" | sum)" </tmp/cat.out
}

dd_moves_a_megabyte_through_a_small_ring() {
	limited dd if="$data" of="$small" bs=4096 count=256 2>/dev/null &
	limited dd if="$small" bs=65536 count="$bytes" iflag=count_bytes,fullblock |
		equal "$(sent)"
	wait
}

dd_keeps_messages_apart() {
	limited dd if="$data" of="$message" bs=1000 count=20 2>/dev/null
	# Each read of 4096 bytes gets one message of 1000.
	limited dd if="$message" bs=4096 count=20 2>/tmp/dd.log |
		equal "$(head -c 20000 "$data" | sum)"
	cat /tmp/dd.log
	grep -q '^0+20 records in' /tmp/dd.log
}

dd_nonblock_on_an_empty_channel_fails_at_once() {
	refused limited dd if="$stream" iflag=nonblock bs=1 count=1 2>/tmp/dd.log
	cat /tmp/dd.log
	grep -q 'temporarily unavailable' /tmp/dd.log
}

socat_writes_a_megabyte() {
	limited socat -u "OPEN:$data,readbytes=$bytes" "OPEN:$stream,wronly" &
	limited head -c "$bytes" <"$stream" | equal "$(sent)"
	wait
}

socat_reads_a_megabyte() {
	limited socat -u "OPEN:$stream,rdonly,readbytes=$bytes" CREATE:/tmp/socat.out &
	reader=$!
	head -c "$bytes" "$data" >"$stream"
	wait "$reader"
	equal "$(sent)" </tmp/socat.out
}

socat_carries_messages_to_a_socket() {
	limited socat -u UDP4-RECV:7000,readbytes=3000 CREATE:/tmp/socat.out &
	receiver=$!
	until grep -q ':1B58 ' /proc/net/udp; do sleep 0.1; done
	limited socat -u "OPEN:$message,rdonly,readbytes=3000" UDP4-SENDTO:127.0.0.1:7000 &
	limited dd if="$data" of="$message" bs=1000 count=3 2>/dev/null
	wait "$receiver"
	equal "$(head -c 3000 "$data" | sum)" </tmp/socat.out
}

# python PROGRAM: with what every one of them needs
python() {
	limited python3 -c "
import asyncio, fcntl, hashlib, os, select, signal, threading
BYTES = $bytes
DATA = open('$data', 'rb').read(BYTES)
def equal(received):
    assert hashlib.sha256(received).digest() == hashlib.sha256(DATA).digest()
def send(path):
    with open(path, 'wb', buffering=0) as channel:
        sent = 0
        while sent < BYTES:
            sent += channel.write(DATA[sent:sent + 50000])
writer = threading.Thread(target=send, args=('$stream',))
$1"
}

python_select_carries_a_megabyte() {
	python "
fd = os.open('$stream', os.O_RDONLY | os.O_NONBLOCK)
assert select.select([fd], [], [], 0) == ([], [], [])
writer.start()
received = b''
while len(received) < BYTES:
    assert select.select([fd], [], [], 60)[0] == [fd]
    received += os.read(fd, 65536)
writer.join()
equal(received)
assert select.select([fd], [], [], 0) == ([], [], [])"
}

python_select_knows_a_full_channel() {
	python "
fd = os.open('$stream', os.O_RDWR | os.O_NONBLOCK)
assert select.select([], [fd], [], 0)[1] == [fd]
try:
    while True:
        os.write(fd, bytes(4096))
except BlockingIOError:
    pass
assert select.select([fd], [fd], [], 0) == ([fd], [], [])
try:
    while True:
        os.read(fd, 65536)
except BlockingIOError:
    pass
assert select.select([fd], [fd], [], 0) == ([], [fd], [])"
}

python_epoll_edge_triggered_carries_a_megabyte() {
	python "
fd = os.open('$stream', os.O_RDONLY | os.O_NONBLOCK)
epoll = select.epoll()
epoll.register(fd, select.EPOLLIN | select.EPOLLET)
writer.start()
received = b''
while len(received) < BYTES:
    assert epoll.poll(60)
    try:
        while True:
            received += os.read(fd, 65536)
    except BlockingIOError:
        pass
writer.join()
equal(received)"
}

python_asyncio_add_reader_carries_a_megabyte() {
	python "
async def main():
    loop = asyncio.get_running_loop()
    fd = os.open('$stream', os.O_RDONLY | os.O_NONBLOCK)
    received = bytearray()
    done = asyncio.Event()
    def readable():
        received.extend(os.read(fd, 65536))
        if len(received) >= BYTES:
            done.set()
    loop.add_reader(fd, readable)
    writer.start()
    await asyncio.wait_for(done.wait(), 60)
    loop.remove_reader(fd)
    equal(received)
asyncio.run(main())
writer.join()"
}

python_asyncio_pipe_transports_carry_a_megabyte() {
	python "
async def main():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader),
        os.fdopen(os.open('$stream', os.O_RDONLY), 'rb', buffering=0))
    transport, protocol = await loop.connect_write_pipe(
        asyncio.Protocol,
        os.fdopen(os.open('$stream', os.O_WRONLY), 'wb', buffering=0))
    transport.write(DATA)
    received = await asyncio.wait_for(reader.readexactly(BYTES), 60)
    transport.close()
    equal(received)
asyncio.run(main())"
}

python_sigio_wakes_signal_wait() {
	python "
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
fd = os.open('$stream', os.O_RDONLY | os.O_NONBLOCK)
fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
with open('$stream', 'wb', buffering=0) as channel:
    channel.write(b'hello')
assert signal.sigtimedwait([signal.SIGIO], 60).si_signo == signal.SIGIO
assert os.read(fd, 100) == b'hello'"
}

# What a failed case left in the channels is none of the next one's business.
drain() {
	for channel in "$stream" "$message" "$small"; do
		dd if="$channel" of=/dev/null iflag=nonblock bs=65536 2>/dev/null
	done
}

for tap_name in redirection_carries_a_line \
	redirection_carries_a_line_as_a_message \
	cat_writes_and_head_reads_a_megabyte \
	cat_reads_until_it_is_killed \
	dd_moves_a_megabyte_through_a_small_ring \
	dd_keeps_messages_apart \
	dd_nonblock_on_an_empty_channel_fails_at_once \
	socat_writes_a_megabyte \
	socat_reads_a_megabyte \
	socat_carries_messages_to_a_socket \
	python_select_carries_a_megabyte \
	python_select_knows_a_full_channel \
	python_epoll_edge_triggered_carries_a_megabyte \
	python_asyncio_add_reader_carries_a_megabyte \
	python_asyncio_pipe_transports_carry_a_megabyte \
	python_sigio_wakes_signal_wait; do
	run_case "$tap_name"
	drain
done
finish_tap
