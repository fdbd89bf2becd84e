"""An SMTP server that says what a test tells it to: for replies no honest server gives here."""

import socket
import ssl
import threading

CLOSE = object()  # as a reply: close the connection without a word


class Held:
    """As a reply: `reply`, but not before release()."""

    def __init__(self, reply):
        self.reached = threading.Event()  # set once it is this reply's turn
        self._reply = reply
        self._released = threading.Event()

    def release(self):
        self._released.set()

    def wait(self):
        self.reached.set()
        self._released.wait()
        return self._reply


class ScriptedSmtp:
    """Listens on loopback, takes any number of sessions one after the other or at once.

    tls        "starttls" (offered), "implicit" or "none"
    greeting   the first line; CLOSE: none
    offers     lines of the EHLO reply besides STARTTLS
    replies    verb -> reply, in place of the usual one. "." is the reply to the end of the message,
               "AUTH" the one that ends an exchange. Several lines are separated by line breaks; a
               list is used up one by one, its last stays; a function is given the line.
    chunking   takes BDAT, and swallows a chunk for nobody
    per_connection, farewell
               closes after so many messages, with this said right behind the last reply
    session    the class of its sessions
    newest_tls the newest version of TLS it speaks
    """

    OFFERS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 20000000",
              "AUTH PLAIN LOGIN XOAUTH2")
    USUAL = {
        "HELO": "250 scripted.example",
        "AUTH": "235 2.7.0 Accepted",
        "MAIL": "250 2.1.0 OK",
        "RCPT": "250 2.1.5 OK",
        "DATA": "354 Go ahead",
        ".": "250 2.0.0 OK",
        "RSET": "250 2.0.0 OK",
        "NOOP": "250 2.0.0 OK",
        "QUIT": "221 2.0.0 Bye",
        "STARTTLS": "220 2.0.0 Go ahead",
    }

    def __init__(self, authority=None, tls="none", greeting="220 scripted.example ESMTP",
                 offers=OFFERS, replies=None, certificate=None, address=("127.0.0.1", 0),
                 chunking=False, per_connection=None, farewell="", session=None,
                 newest_tls=ssl.TLSVersion.MAXIMUM_SUPPORTED):
        self.commands = []  # every line a client sent outside of messages
        self.messages = []
        self.connections = 0
        self.chunking, self.per_connection, self.farewell = chunking, per_connection, farewell
        self._session = session or Session
        self._tls, self._greeting, self._offers = tls, greeting, offers
        self._replies = {**self.USUAL, **(replies or {})}
        self._context = None
        if tls != "none":
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.maximum_version = newest_tls
            self._context.load_cert_chain(*(certificate or authority.issue("scripted")))
        self._listener = socket.create_server(address)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()

    def verbs(self):
        return [command.split(" ")[0].upper() for command in self.commands]

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(60)
        try:
            if self._tls == "implicit":
                connection = self._context.wrap_socket(connection, server_side=True)
            self._session(self, connection).run()
        except OSError:  # the client has gone, or speaks no TLS
            pass
        finally:
            connection.close()

    def _reply_to(self, verb, line=""):
        reply = self._replies.get(verb, "502 5.5.1 Unknown command")
        if callable(reply):
            return reply(line)
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        return reply


class Session:
    def __init__(self, server, connection):
        self._server = server
        self._accepted = 0  # recipients of this message
        self._taken = 0  # messages
        self._take(connection)
        self._secure = server._tls == "implicit"

    def _take(self, connection):
        self._connection = connection
        self._input = connection.makefile("rb")

    def _say(self, reply):
        """Sends a reply; false: it was to close."""
        if isinstance(reply, Held):
            reply = reply.wait()
        if reply is CLOSE:
            return False
        if isinstance(reply, bytes):
            self._connection.sendall(reply)
            return True
        lines = reply.split("\n")
        self._connection.sendall("".join(line.rstrip("\r") + "\r\n" for line in lines).encode())
        return True

    def _line(self):
        line = self._input.readline(65536)
        return line.rstrip(b"\r\n").decode(errors="replace") if line.endswith(b"\n") else None

    def run(self):
        if not self._say(self._server._greeting):
            return
        while (line := self._line()) is not None:
            self._server.commands.append(line)
            verb = line.split(" ")[0].upper()
            step = getattr(self, f"_on_{verb.lower()}", None)
            going = step(line) if step else self._say(self._server._reply_to(verb, line))
            if not going or verb == "QUIT":
                break
        self._connection.close()

    def _on_ehlo(self, line):
        if "EHLO" in self._server._replies:
            return self._say(self._server._reply_to("EHLO"))
        offers = ["scripted.example", *self._server._offers]
        if self._server._tls == "starttls" and not self._secure:
            offers.append("STARTTLS")
        return self._say("\n".join(
            f"250{' ' if i + 1 == len(offers) else '-'}{offer}" for i, offer in enumerate(offers)))

    def _on_starttls(self, line):
        if self._server._tls != "starttls":
            return self._say("502 5.5.1 Unknown command")
        if not self._say(self._server._reply_to("STARTTLS")):
            return False
        self._take(self._server._context.wrap_socket(self._connection, server_side=True))
        self._secure = True
        return True

    def _on_auth(self, line):
        words = line.split(" ")
        prompts = {"LOGIN": ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"]}.get(words[1].upper(), [""])
        for prompt in prompts[len(words) - 2:]:
            self._say(f"334 {prompt}")
            if self._line() in (None, "*"):
                return self._say("501 5.7.0 Cancelled")
        return self._say(self._server._reply_to("AUTH"))

    def _on_mail(self, line):
        self._accepted = 0
        return self._say(self._server._reply_to("MAIL", line))

    def _on_rset(self, line):
        self._accepted = 0
        return self._say(self._server._reply_to("RSET"))

    def _on_rcpt(self, line):
        reply = self._server._reply_to("RCPT", line)
        self._accepted += isinstance(reply, str) and reply.startswith("250")
        return self._say(reply)

    def _on_bdat(self, line):
        if not self._server.chunking:
            return self._say("502 5.5.1 Unknown command")
        size = int(line.split(" ")[1])
        content = self._input.read(size)
        if len(content) < size:
            return False
        if not self._accepted:
            return self._say("503 5.5.1 RCPT first")
        return self._take_message(content)

    def _take_message(self, content):
        self._accepted = 0
        self._taken += 1
        self._server.messages.append(content)
        reply = self._server._reply_to(".")
        if self._taken != self._server.per_connection:
            return self._say(reply)
        # The end comes with the reply, so that the client cannot miss it.
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self._say(f"{reply}\n{self._server.farewell}" if self._server.farewell else reply)
        return False

    def _on_data(self, line):
        reply = self._server._reply_to("DATA")
        if not self._say(reply):
            return False
        if not reply.startswith("354"):
            return True
        content = []
        while (data := self._input.readline()) not in (b".\r\n", b""):
            content.append(data[1:] if data.startswith(b".") else data)
        if not data:
            return False
        return self._take_message(b"".join(content))
