"""The network below the client: every way in which a connection can end shows as what httpx's callers know."""

import asyncio
import gc
import socket
import ssl
import struct

import httpx
import pytest
import trustme

AUTHORITY = trustme.CA()
"""Who says that a server is 127.0.0.1; only these tests trust it."""
CERTIFICATE = AUTHORITY.issue_cert("127.0.0.1")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LARGE = 3_000_000


def talking(handle, *, tls=False, host="127.0.0.1", timeout=5.0, trusted=True):
    """Decorates a test that gets a client, the URL of a server that speaks as ``handle`` does, and its connections."""

    def decorate(test):
        async def main():
            connections = []

            async def serve(reader, writer):
                connections.append(writer)
                try:
                    await handle(reader, writer)
                except (OSError, asyncio.IncompleteReadError):
                    pass  # the client went away
                finally:
                    if not writer.is_closing():  # closed twice over TLS, it can't be aborted: Python 3.11.2
                        writer.close()

            context = None
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                CERTIFICATE.configure_cert(context)
            async with await asyncio.start_server(serve, host, 0, ssl=context) as server:
                url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
                trust = ssl.create_default_context()
                if trusted:
                    AUTHORITY.configure_trust(trust)
                transport = httpx.AsyncHTTPTransport(verify=trust, limits=httpx.Limits(keepalive_expiry=60))
                async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
                    await test(client, url, connections)
                for writer in connections:
                    writer.transport.abort()

        def run():
            asyncio.run(main())

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


async def asked(reader):
    return await reader.readuntil(b"\r\n\r\n")


async def answers(reader, writer):
    while await asked(reader):
        writer.write(OK)


async def mute(reader, writer):
    await asyncio.sleep(60)


async def answers_once(reader, writer):
    await asked(reader)
    writer.write(OK)


@pytest.mark.parametrize("tls", [False, True])
def test_requests_share_a_connection(tls):
    """Intent: one connection, and one handshake, for calls one after the other; the same over TLS."""

    @talking(answers, tls=tls)
    async def test(client, url, connections):
        for _ in range(5):
            assert (await client.get(url)).text == "ok"
        assert len(connections) == 1

    test()


@pytest.mark.parametrize("tls", [False, True])
def test_a_large_answer_comes_whole(tls):
    """Intent: what comes faster, and in other pieces, than it is asked for is neither lost nor doubled."""
    body = bytes(range(256)) * (LARGE // 256)

    async def answer(reader, writer):
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    @talking(answer, tls=tls)
    async def test(client, url, connections):
        assert (await client.get(url)).content == body

    test()


def test_a_server_that_sends_without_end_is_made_to_wait():
    """Intent: what nobody reads does not fill the memory."""
    sent = 0

    async def flood(reader, writer):
        nonlocal sent
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    @talking(flood)
    async def test(client, url, connections):
        async with client.stream("GET", url) as response:
            seen = -1
            while seen != sent:  # until it stands still
                seen = sent
                await asyncio.sleep(0.1)
            assert sent < 20_000_000
            whole = 0
            async for part in response.aiter_raw():
                whole += len(part)
                if whole > 2 * seen:  # and it goes on
                    break

    test()


def test_a_large_request_waits_for_a_server_that_reads_slowly():
    """Intent: sending is paced by the server, and all of it arrives."""
    heard = 0

    async def slow(reader, writer):
        nonlocal heard
        await asked(reader)
        while heard < LARGE:
            heard += len(await reader.read(65_536))
            await asyncio.sleep(0)
        writer.write(OK)

    @talking(slow)
    async def test(client, url, connections):
        assert (await client.post(url, content=b"x" * LARGE)).text == "ok"
        assert heard == LARGE

    test()


def test_a_server_that_does_not_read_is_given_up():
    """Intent: a call ends though its server takes nothing in."""

    async def deaf(reader, writer):
        reader._transport.pause_reading()
        await asyncio.sleep(60)

    @talking(deaf, timeout=0.3)
    async def test(client, url, connections):
        with pytest.raises(httpx.WriteTimeout):
            await client.post(url, content=b"x" * 30_000_000)

    test()


@pytest.mark.sweep
def test_a_server_that_does_not_answer_is_given_up():
    """Intent: a call ends though no answer comes, or only half of one."""

    async def half(reader, writer):
        await asked(reader)
        writer.write(OK[:-1])
        await asyncio.sleep(60)

    for handle in (mute, half):

        @talking(handle, timeout=0.3)
        async def test(client, url, connections):
            with pytest.raises(httpx.ReadTimeout):
                await client.get(url)

        test()


def test_a_port_where_nobody_listens_and_a_handshake_that_never_ends():
    """Intent: nothing was sent, and that is known."""

    @talking(mute, timeout=0.3)
    async def test(client, url, connections):
        with pytest.raises(httpx.ConnectTimeout):
            await client.get(url.replace("http:", "https:"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://127.0.0.1:{free.getsockname()[1]}/")

    test()


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".example", "nobody.invalid"])
def test_a_host_that_no_name_can_lead_to_is_not_reached(host):
    """Intent: a slip in a host's name is told as what it is."""

    @talking(answers)
    async def test(client, url, connections):
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://{host}/")

    test()


@pytest.mark.parametrize(("trusted", "name"), [(False, "127.0.0.1"), (True, "localhost")])
def test_a_certificate_that_is_not_trusted_or_of_another_host_gets_no_request(trusted, name):
    """Intent: the key goes to nobody whose name is not proved."""
    heard = []

    async def listen(reader, writer):
        heard.append(await reader.read())

    @talking(listen, tls=True, trusted=trusted)
    async def test(client, url, connections):
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(url.replace("127.0.0.1", name))

    test()
    assert not any(heard)


@pytest.mark.sweep
def test_a_connection_that_the_server_closed_or_spoke_on_is_not_used_again():
    """Intent: no read leaves on a connection that is known to be over, nor takes another's answer.

    Over TLS httpx can't tell; see test_api_wire for what that means to a call.
    """

    async def unasked(reader, writer):
        await answers_once(reader, writer)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await asyncio.sleep(60)

    for handle in (answers_once, unasked):

        @talking(handle)
        async def test(client, url, connections):
            for number in (1, 2, 3):
                assert (await client.post(url, content=b"")).text == "ok"
                assert len(connections) == number
                await asyncio.sleep(0.15)

        test()


def test_one_that_was_closed_a_moment_ago_is_noticed_before_the_event_loop_hears_of_it():
    """Intent: the socket itself is asked, not only what has been read from it."""
    closing = []

    async def answer(reader, writer):
        await answers_once(reader, writer)
        closing.append(writer)
        await asyncio.sleep(60)

    @talking(answer)
    async def test(client, url, connections):
        await client.get(url)
        closing[0].get_extra_info("socket").shutdown(socket.SHUT_RDWR)  # and nothing is awaited before the next request
        assert (await client.get(url)).text == "ok"
        assert len(connections) == 2

    test()


def reset(writer):
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_a_connection_that_breaks_while_nobody_reads_is_broken_for_the_next_read():
    """Intent: what is over is not waited for."""

    async def handle(reader, writer):
        await asked(reader)
        writer.write(OK[:-1])
        await asyncio.sleep(0.1)
        reset(writer)

    @talking(handle)
    async def test(client, url, connections):
        async with client.stream("GET", url) as response:
            await asyncio.sleep(0.3)
            with pytest.raises(httpx.ReadError):
                await response.aread()

    test()


def test_a_connection_that_breaks_while_a_request_waits_to_be_taken_in_ends_the_wait():
    """Intent: a server that goes away is not written to until the time is out."""

    async def deaf(reader, writer):
        reader._transport.pause_reading()
        await asyncio.sleep(0.1)
        reset(writer)

    @talking(deaf)
    async def test(client, url, connections):
        with pytest.raises((httpx.ReadError, httpx.WriteError)):
            await client.post(url, content=b"x" * 30_000_000)

    test()


def test_an_idle_connection_may_break_at_any_moment():
    """Intent: while the pool looks which connections are still good, what is over is over, and no other call hears of it."""

    @talking(answers, tls=True)
    async def test(client, url, connections):
        await client.get(url)
        reset(connections[0])
        for _ in range(50):
            await asyncio.sleep(0)
            for connection in client._transport._pool.connections:
                connection.has_expired()
        assert (await client.get(url)).text == "ok"
        assert len(connections) == 2

    test()


@pytest.mark.parametrize("tls", [False, True])
def test_an_answer_that_comes_before_the_request_was_taken_in_is_the_answer(tls):
    """Intent: a server that refuses early, and hears no more, is understood."""

    async def hasty(reader, writer):
        await asked(reader)
        reader._transport.pause_reading()
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        if tls:
            writer.close()
        else:
            writer.write_eof()
            await asyncio.sleep(0.2)
            reader._transport.resume_reading()
            while await reader.read(65_536):
                pass

    @talking(hasty, tls=tls)
    async def test(client, url, connections):
        assert (await client.post(url, content=b"x" * (3_000 if tls else 8_000_000))).status_code == 429

    test()


def test_a_broken_connection_says_so():
    """Intent: cut short or reset, before or within the answer: an error, never a short answer."""

    def ends(said, *, broken):
        async def handle(reader, writer):
            await asked(reader)
            writer.write(said)
            await writer.drain()
            if broken:
                await asyncio.sleep(0.05)
                reset(writer)

        return handle

    for said in (b"", b"HTTP/1.1 200 OK\r\n", OK[:-1]):
        for broken in (False, True):

            @talking(ends(said, broken=broken))
            async def test(client, url, connections, broken=broken):
                with pytest.raises(httpx.ReadError if broken else httpx.RemoteProtocolError):
                    await client.get(url)

            test()


def test_a_call_that_is_called_off_while_it_connects_leaves_no_socket_behind():
    """Intent: whenever it is called off. What is left open is a warning, and these are errors here."""

    @talking(answers)
    async def test(client, url, connections):
        for steps in range(20):
            call = asyncio.create_task(client.get(url, headers={"connection": "close"}))
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    test()
    gc.collect()


def test_a_call_that_is_called_off_leaves_no_connection_behind():
    """Intent: an interrupt in the middle of an answer harms no later call."""

    async def first_slow(reader, writer):
        await asked(reader)
        writer.write(OK[:-1])
        await asyncio.sleep(0.2)
        writer.write(OK[-1:])

    @talking(first_slow)
    async def test(client, url, connections):
        call = asyncio.create_task(client.get(url))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await client.get(url)).text == "ok"
        assert len(connections) == 2

    test()
