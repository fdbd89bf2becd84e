"""Real mail servers of Debian, each in a temporary folder, on free ports of 127.0.0.1."""

import asyncio
import contextlib
import os
import pwd
import random
import socket
import ssl
import threading
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult

import support


def free_ports(count):
    """Different ports nobody listens on, for servers that cannot be told to choose one."""
    with contextlib.ExitStack() as held:  # all at once: a port let go may be drawn again
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port():
    """A port nobody listens on."""
    return free_ports(1)[0]


def host_with_free(port):
    """A loopback address where a well-known port is free: for what depends on the port's number.
    None: there is none, as where this user may not listen on that port."""
    for _ in range(100):
        host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
                return host
            except PermissionError:
                return None
            except OSError:  # somebody listens on it at every address
                continue
    return None


def greets(port, host="127.0.0.1"):
    """Whether something accepts on `port`."""
    try:
        with socket.create_connection((host, port), 1):
            return True
    except OSError:
        return False


def why_not_postfix():
    """Why Postfix and Dovecot cannot run here; empty: they can."""
    if os.getuid() != 0:
        return "Postfix and Dovecot drop privileges and so have to be started as root"
    return ""


class Dovecot:
    """Dovecot as nothing but the password check of Postfix (its SASL server on a Unix socket), unless
    `more` has it do more.

    users       login -> password
    mechanisms  as Dovecot names them
    more        further lines of dovecot.conf
    disabled    logins that are refused whatever their password
    """

    def __init__(self, folder, users, mechanisms, more="", disabled=()):
        folder = Path(folder)
        folder.mkdir()
        self.socket = folder / "sasl"
        passwords = folder / "users"
        passwords.write_text("".join(f"{u}:{{PLAIN}}{p}::::::\n" for u, p in users.items()))
        passwords.chmod(0o644)
        denied = folder / "disabled"
        denied.write_text("".join(f"{user}:\n" for user in disabled))
        denied.chmod(0o644)
        config = folder / "dovecot.conf"
        config.write_text(f"""\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  deny = yes
  args = username_format=%u {denied}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {passwords}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {self.socket} {{
    mode = 0666
  }}
}}
service auth-worker {{
  user = nobody
}}
# No growing delay after failed logins.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{more}""")
        self.process = support.Process(["/usr/sbin/dovecot", "-F", "-c", config])
        support.until(self.socket.exists, "Dovecot's SASL socket")

    def stop(self):
        self.process.stop()


class Postfix:
    """A private Postfix instance.

    submission   STARTTLS and AUTH required, From must be the login's own
    smtps        the same with TLS from the first byte; also on port 465 of the address `host_465`,
                 unless that is None
    open         STARTTLS offered, no AUTH: takes mail from anyone, but for recipients whose names
                 begin with `refused` (550) or `later` (450)
    strict_helo  refuses the EHLO name `refused.example`
    small        takes messages of up to 100 kB
    no_tls       neither STARTTLS nor AUTH
    All of it is delivered to one Maildir.
    """

    SERVICES = ("submission", "smtps", "open", "strict_helo", "small", "no_tls")
    SMALL = 100_000

    def __init__(self, authority, users, owned=None, mechanisms="plain login", dovecot="",
                 names="IP:127.0.0.1,DNS:localhost", disabled=()):
        """`users`: login -> password; `owned`: address -> login that may send as it, on top of each
        login's own name. `mechanisms`, `dovecot`, `disabled`: as Dovecot takes them. `names`: the
        certificate's."""
        self.names = names
        self.folder = support.temporary_folder()
        self.host_465 = host_with_free(465)
        self.ports = dict(zip(self.SERVICES, free_ports(len(self.SERVICES))))
        self.dovecot = Dovecot(self.folder / "dovecot", users, mechanisms, dovecot, disabled)
        self._write_config(authority, {**{u: u for u in users}, **(owned or {})})
        self.maildir = support.Maildir(self.folder / "mail" / "inbox")
        config = self.folder / "etc"
        # Makes the queue's folders, too.
        checked = support.run(["/usr/sbin/postfix", "-c", config, "check"])
        assert checked.code == 0, checked.err
        self.process = support.Process(["/usr/lib/postfix/sbin/master", "-c", config, "-s"])
        for name, port in self.ports.items():
            support.until(lambda p=port: self.process.alive() and greets(p), f"Postfix's {name}")

    def _write_config(self, authority, owned):
        folder = self.folder
        owner = pwd.getpwnam("postfix")
        nobody = pwd.getpwnam("nobody")
        for name in ("etc", "queue", "data", "mail"):
            (folder / name).mkdir()
        os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
        os.chown(folder / "mail", nobody.pw_uid, nobody.pw_gid)
        cert, key = authority.issue("postfix", self.names)
        logins = ", ".join(f"{{ {address} = {login} }}" for address, login in owned.items())
        (folder / "etc" / "main.cf").write_text(f"""\
compatibility_level = 3.7
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mail.postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
default_transport = error:only the test's own mailboxes
relay_transport = error:only the test's own mailboxes
virtual_mailbox_domains = static:any
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{nobody.pw_uid}
virtual_gid_maps = static:{nobody.pw_gid}
message_size_limit = 20000000
virtual_mailbox_limit = 0
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = {self.dovecot.socket}
smtpd_sender_login_maps = inline:{{ {logins} }}
smtpd_relay_restrictions = permit_sasl_authenticated, permit_auth_destination, reject
smtpd_recipient_restrictions =
smtpd_error_sleep_time = 0
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
""")
        ports = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        account = """\
  -o smtpd_tls_auth_only=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_sender_restrictions=reject_sender_login_mismatch
"""
        on_465 = "" if self.host_465 is None else f"""\
{self.host_465}:465 inet n - n - - smtpd
{account}  -o smtpd_tls_wrappermode=yes
"""
        (folder / "etc" / "master.cf").write_text(f"""\
{ports['submission']} inet n - n - - smtpd
{account}  -o smtpd_tls_security_level=encrypt
{ports['smtps']} inet n - n - - smtpd
{account}  -o smtpd_tls_wrappermode=yes
{on_465}{ports['open']} inet n - n - - smtpd
  -o {{ smtpd_recipient_restrictions = check_recipient_access
        regexp:{{ {{ /^refused/ 550 5.1.1 no such user }}, {{ /^later/ 450 4.2.1 later }} }} }}
{ports['strict_helo']} inet n - n - - smtpd
  -o smtpd_helo_required=yes
  -o smtpd_delay_reject=no
  -o {{ smtpd_helo_restrictions = check_helo_access
        inline:{{ {{ refused.example = REJECT use your own name }} }},
        reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname }}
{ports['small']} inet n - n - - smtpd
  -o message_size_limit={self.SMALL}
{ports['no_tls']} inet n - n - - smtpd
  -o smtpd_tls_security_level=none
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
""")

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self):
        self.process.stop()
        self.dovecot.stop()


# Where .ci/install --test unpacks what Debian does not install beside Postfix.
BESIDE = Path("/usr/local/lib/sendstep-test")
EXIM = BESIDE / "exim4-daemon-light/usr/sbin/exim4"


def why_not_exim():
    """Why Exim cannot run here; empty: it can."""
    if os.getuid() != 0:
        return "Exim drops privileges and so has to be started as root"
    return "" if EXIM.exists() else "there is no Exim: .ci/install --test brings it"


class Exim:
    """A private Exim with CHUNKING, which takes mail from anyone, but for recipients whose names
    begin with `refused` (550) or `later` (450) and senders whose names begin with `refused` (550).

    tls      STARTTLS offered
    no_tls   no STARTTLS
    smtps    TLS from the first byte
    Under TLS it offers AUTH PLAIN, where there are users. All of it is delivered to one Maildir.
    """

    # Exim's user is compiled in; NSS is told that there is one.
    USER = "Debian-exim"

    def __init__(self, authority, users=None):
        """`users`: login -> password."""
        self.folder = support.temporary_folder()
        nobody = pwd.getpwnam("nobody")
        for name in ("spool", "log", "mail"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, nobody.pw_uid, nobody.pw_gid)
        passwd, group = self.folder / "passwd", self.folder / "group"
        passwd.write_text(f"root:x:0:0::/:/bin/sh\n"
                          f"{self.USER}:x:{nobody.pw_uid}:{nobody.pw_gid}::/:/bin/false\n")
        group.write_text(f"root:x:0:\n{self.USER}:x:{nobody.pw_gid}:\n")
        self.ports = dict(zip(("tls", "no_tls", "smtps"), free_ports(3)))
        config = self.folder / "exim.conf"
        config.write_text(self._config(authority, users or {}))
        self.maildir = support.Maildir(self.folder / "mail" / "inbox")
        self.process = support.Process(
            [EXIM, "-C", config, "-bdf"],
            env={"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_PASSWD": str(passwd),
                 "NSS_WRAPPER_GROUP": str(group)})
        for name, port in self.ports.items():
            support.until(lambda p=port: self.process.alive() and greets(p), f"Exim's {name}")

    def _config(self, authority, users):
        cert, key = authority.issue("exim")
        logins = " ".join(f"{{and{{ {{eq{{$auth2}}{{{login}}}}} {{eq{{$auth3}}{{{password}}}}} }}}}"
                          for login, password in users.items())
        authenticators = f"""\
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_advertise_condition = ${{if def:tls_in_cipher}}
  server_condition = ${{if or{{ {logins} }}}}
""" if users else ""
        return f"""\
exim_path = {EXIM}
keep_environment = LD_PRELOAD : ^NSS_WRAPPER_
primary_hostname = mail.exim.example
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/log/%slog
pid_file_path = {self.folder}/spool/pid
notifier_socket =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {' : '.join(map(str, self.ports.values()))}
tls_on_connect_ports = {self.ports['smtps']}
tls_advertise_hosts = ${{if ={{$received_port}}{{{self.ports['tls']}}}{{*}}}}
tls_certificate = {cert}
tls_privatekey = {key}
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
message_size_limit = 20M
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
deliver_drop_privilege = true
never_users =
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
begin acl
mail:
  deny condition = ${{if match{{$sender_address}}{{^refused}}}}
       message = 5.7.1 not you
  accept
rcpt:
  deny condition = ${{if match{{$local_part}}{{^refused}}}}
       message = 5.1.1 no such user
  defer condition = ${{if match{{$local_part}}{{^later}}}}
        message = 4.2.1 later
  accept
begin routers
everyone:
  driver = accept
  transport = inbox
begin transports
inbox:
  driver = appendfile
  directory = {self.folder}/mail/inbox
  maildir_format
  envelope_to_add
  return_path_add
{authenticators}begin retry
"""

    def log(self):
        path = self.folder / "log" / "mainlog"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self):
        self.process.stop()


def why_not_name_server():
    """Why a network of its own for a name server cannot be had here; empty: it can."""
    ran = support.run(["unshare", "--mount", "--net", "true"])
    return "" if ran.code == 0 else f"no network namespace can be made here: {ran.err.strip()}"


class NameServer:
    """dnsmasq at port 53 of a network namespace of its own, where it is what /etc/resolv.conf says;
    knows `texts` (name -> TXT record) and nothing else."""

    def __init__(self, texts):
        folder = support.temporary_folder()
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        records = "".join(
            f"txt-record={name},{self._strings(text)}\n" for name, text in texts.items())
        (folder / "dnsmasq.conf").write_text(f"""\
keep-in-foreground
log-facility=-
user=root
pid-file=
no-resolv
no-hosts
local=/#/
listen-address=127.0.0.1
bind-interfaces
{records}""")
        self.process = support.Process([
            "unshare", "--mount", "--net", "sh", "-ec",
            f"/sbin/ip link set lo up; mount --bind {folder}/resolv.conf /etc/resolv.conf; "
            f"exec /usr/sbin/dnsmasq --conf-file={folder}/dnsmasq.conf"])
        self.process.wait_line("started, version")

    @staticmethod
    def _strings(text):
        """A TXT record is strings of at most 255 bytes."""
        return ",".join(f'"{text[i:i + 255]}"' for i in range(0, len(text), 255))

    def run(self, argv, stdin=None):
        """Runs a program where this is its name server."""
        return support.run(["nsenter", "--target", str(self.process.pid), "--mount", "--net",
                            *argv], stdin=stdin)

    def stop(self):
        self.process.stop()




class DovecotSubmission:
    """Dovecot's submission server, which logs in who sends and passes the email on to `next_hop`, a
    port of a server that takes mail from it: an account's server in front of the one that delivers.

    submission   STARTTLS required
    smtps        TLS from the first byte
    Both offer CHUNKING, and what Dovecot itself can do: neither SMTPUTF8 nor more than 20 MB.
    """

    def __init__(self, authority, users, next_hop):
        """`users`: login -> password."""
        self.folder = support.temporary_folder()
        self.ports = dict(zip(("submission", "smtps"), free_ports(2)))
        cert, key = authority.issue("dovecot")
        self.dovecot = Dovecot(self.folder / "dovecot", users, "plain login", f"""\
protocols = submission
listen = 127.0.0.1
hostname = mail.dovecot.example
ssl = required
ssl_cert = <{cert}
ssl_key = <{key}
mail_location = maildir:/nonexistent
submission_relay_host = 127.0.0.1
submission_relay_port = {next_hop}
submission_max_mail_size = 20M
service submission-login {{
  inet_listener submission {{
    port = {self.ports['submission']}
  }}
  inet_listener submissions {{
    port = {self.ports['smtps']}
    ssl = yes
  }}
}}
""")
        for name, port in self.ports.items():
            support.until(lambda p=port: self.dovecot.process.alive() and greets(p),
                          f"Dovecot's {name}")

    def log(self):
        path = self.folder / "dovecot" / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self):
        self.dovecot.stop()


OPENSMTPD = BESIDE / "opensmtpd"


def why_not_opensmtpd():
    """Why OpenSMTPD cannot run here; empty: it can."""
    if os.getuid() != 0:
        return "OpenSMTPD drops privileges and so has to be started as root"
    if not OPENSMTPD.exists():
        return "there is no OpenSMTPD: .ci/install --test brings it"
    if support.run(["unshare", "--mount", "true"]).code != 0:
        return "OpenSMTPD's folders are compiled in: it needs a mount namespace of its own"
    return ""


class OpenSmtpd:
    """A private OpenSMTPD. Its folders and users are compiled in: it sees others in their place.

    no_tls   neither TLS nor AUTH, which it has under TLS only: its network process has the key without
             the private part and marks it, so that another process signs; OpenSSL 3 hands on a copy
             without the mark, and every handshake ends in "rsa routines::missing private key"
             (6.8.0p2, with RSA and ECDSA, TLS 1.2 and 1.3)
    It offers neither PIPELINING, SMTPUTF8 nor CHUNKING. All of it is delivered to one Maildir.
    """

    # In a mount namespace of its own: what it finds at its paths, then itself.
    START = """
        mount -t tmpfs -o mode=755 spool /var/spool
        mount -t tmpfs -o mode=755 run /run
        mount -t tmpfs -o mode=755 lib /var/lib
        mount --bind "$1/usr/libexec" /usr/libexec
        for file in passwd group; do mount --bind "$2/$file" "/etc/$file"; done
        mkdir -p -m 711 /var/spool/smtpd /var/lib/opensmtpd/empty
        exec "$1/usr/sbin/smtpd" -d -f "$2/smtpd.conf"
    """

    def __init__(self):
        self.folder = support.temporary_folder()
        nobody = pwd.getpwnam("nobody")
        (self.folder / "mail").mkdir()
        os.chown(self.folder / "mail", nobody.pw_uid, nobody.pw_gid)
        names = {"root": 0, "nobody": nobody.pw_uid, "opensmtpd": 65001, "opensmtpq": 65002}
        (self.folder / "passwd").write_text("".join(
            f"{name}:x:{number}:{number}::/var/empty:/bin/sh\n" for name, number in names.items()))
        (self.folder / "group").write_text("".join(
            f"{name}:x:{number}:\n" for name, number in names.items()))
        self.ports = {"no_tls": free_port()}
        (self.folder / "smtpd.conf").write_text(f"""\
table everyone {{ "@" = "nobody" }}
smtp max-message-size 20M
listen on 127.0.0.1 port {self.ports['no_tls']} hostname mail.opensmtpd.example
action "inbox" maildir "{self.folder}/mail/inbox" virtual <everyone>
match from any for any action "inbox"
""")
        self.maildir = support.Maildir(self.folder / "mail" / "inbox")
        self.process = support.Process(
            ["unshare", "--mount", "sh", "-e", "-c", self.START, "sh", OPENSMTPD, self.folder],
            name="opensmtpd")
        for name, port in self.ports.items():
            support.until(lambda p=port: self.process.alive() and greets(p), f"OpenSMTPD's {name}")

    def log(self):
        return self.process.output()

    def stop(self):
        self.process.stop()


HARAKA = support.TOOLS / "haraka/node_modules/Haraka"


class Haraka:
    """A private Haraka, which logs in who sends and passes the email on to `next_hop`, a port of a
    server that takes mail from it.

    submission   STARTTLS; AUTH after it, the envelope sender in the login's domain
    smtps        the same with TLS from the first byte
    It offers SMTPUTF8 and AUTH CRAM-MD5, takes 25 MiB and breaks lines longer than 992 bytes.
    """

    def __init__(self, authority, users, next_hop):
        """`users`: login -> password."""
        self.folder = support.temporary_folder()
        config = self.folder / "config"
        config.mkdir()
        self.ports = dict(zip(("submission", "smtps"), free_ports(2)))
        cert, key = authority.issue("haraka")
        for name, text in {
            "me": "mail.haraka.example\n",
            "plugins": "tls\nauth/flat_file\nqueue/smtp_forward\n",
            "smtp.ini": f"listen={','.join(f'127.0.0.1:{p}' for p in self.ports.values())}\n"
                        f"smtps_port={self.ports['smtps']}\n",
            "tls_cert.pem": cert.read_text(),
            "tls_key.pem": key.read_text(),
            "tls.ini": "",
            "connection.ini": (HARAKA / "config/connection.ini").read_text(),  # it has no defaults
            "auth_flat_file.ini": "[core]\nmethods=PLAIN,LOGIN,CRAM-MD5\n[users]\n"
                                  + "".join(f"{u}={p}\n" for u, p in users.items()),
            "smtp_forward.ini": f"host=127.0.0.1\nport={next_hop}\nenable_outbound=true\n",
        }.items():
            (config / name).write_text(text)
        self.process = support.Process(
            ["node", HARAKA / "bin/haraka", "-c", self.folder],
            name="haraka")
        for name, port in self.ports.items():
            support.until(lambda p=port: self.process.alive() and greets(p), f"Haraka's {name}")

    def log(self):
        return self.process.output()

    def stop(self):
        self.process.stop()


class Aiosmtpd:
    """aiosmtpd: STARTTLS and AUTH required; keeps the raw messages with their envelopes."""

    def __init__(self, authority, users):
        self.received = []  # (mail_from, rcpt_tos, raw)
        cert, key = authority.issue("aiosmtpd")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)

        def authenticate(server, session, envelope, mechanism, data):
            password = users.get(data.login.decode())
            good = password is not None and password.encode() == data.password
            return AuthResult(success=good, handled=False)

        def protocol():
            return SMTP(self, hostname="aiosmtpd.example", tls_context=context,
                        require_starttls=True, auth_required=True, authenticator=authenticate,
                        enable_SMTPUTF8=True, loop=self._loop)

        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(protocol, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    async def handle_DATA(self, server, session, envelope):
        self.received.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return "250 2.0.0 kept"

    def find(self, text):
        """(mail_from, rcpt_tos, raw) of the one message that has `text` in it; None: none has."""
        for message in list(self.received):
            if text.encode() in message[2]:
                return message
        return None

    def stop(self):
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
