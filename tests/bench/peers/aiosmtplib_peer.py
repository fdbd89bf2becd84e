"""A Send Email server of aiosmtplib (16 connections that stay open) and grpc.aio: answers Execute of
the contract by sending the email. Prints "listening ADDRESS". Ends on SIGTERM.

    python aiosmtplib_peer.py FOLDER_OF_GENERATED_CODE
"""

import asyncio
import signal
import ssl
import sys
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import make_msgid

sys.path.insert(0, sys.argv[1])

import aiosmtplib  # noqa: E402
import grpc  # noqa: E402
from sendstep.v1 import email_action_pb2 as v1  # noqa: E402
from sendstep.v1 import email_action_pb2_grpc as v1_grpc  # noqa: E402

CONNECTIONS = 16


def client_of(smtp):
    plain = smtp.tls == v1.TLS_MODE_OFF
    context = None
    if not plain:
        context = ssl.create_default_context(cadata=smtp.ca_pem or None)
        if smtp.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    implicit = smtp.tls == v1.TLS_MODE_IMPLICIT
    return aiosmtplib.SMTP(
        hostname=smtp.host, port=smtp.port, local_hostname=smtp.domain, use_tls=implicit,
        start_tls=not plain and not implicit, tls_context=context)


def message_of(email):
    def mailbox(address):
        return Address(address.name, addr_spec=address.email)
    message = EmailMessage()
    message["From"] = mailbox(getattr(email, "from"))
    message["To"] = [mailbox(to) for to in email.to]
    message["Subject"] = email.subject
    message["Message-ID"] = make_msgid(domain=getattr(email, "from").email.partition("@")[2])
    message.set_content(email.text)
    if email.html:
        message.add_alternative(email.html, subtype="html")
    for file in email.attachments:
        kind, _, subtype = file.content_type.partition("/")
        message.add_attachment(file.content, kind, subtype, filename=file.filename)
    return message


class Service(v1_grpc.EmailActionServicer):
    def __init__(self):
        self._pools = {}

    async def Execute(self, request, context):
        smtp, email = request.config.smtp, request.email
        key = (smtp.host, smtp.port, smtp.tls, smtp.domain)
        if key not in self._pools:
            self._pools[key] = asyncio.Queue()
            for _ in range(CONNECTIONS):
                self._pools[key].put_nowait(client_of(smtp))
        message = message_of(email)
        client = await self._pools[key].get()
        try:
            if not client.is_connected:
                await client.connect()
            errors, text = await client.send_message(message)
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        finally:
            self._pools[key].put_nowait(client)
        response = v1.ExecuteResponse(
            outcome=v1.OUTCOME_SENT, request_id=request.request_id, dedupe=v1.DEDUPE_NONE,
            message_id=message["Message-ID"], from_used=getattr(email, "from"),
            final_reply=v1.SmtpReply(code=250, text=text))
        response.accepted_at.GetCurrentTime()
        for to in email.to:
            response.recipients.add(email=to.email, status=v1.RECIPIENT_STATUS_ACCEPTED,
                                    reply=v1.SmtpReply(code=250))
        return response


async def main():
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    v1_grpc.add_EmailActionServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening 127.0.0.1:{port}", flush=True)
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()
    await server.stop(0)


asyncio.run(main())
