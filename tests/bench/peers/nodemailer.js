// A Send Email server of nodemailer (pool of 16 connections) and @grpc/grpc-js: answers Execute of
// the contract by sending the email. Prints "listening ADDRESS". Ends on SIGTERM.
//
//   node nodemailer.js PROTOS_FOLDER MODULES_FOLDER [nodelay]
//
// nodemailer leaves Nagle's algorithm on, so that its small writes wait for delayed acknowledgements.
// "nodelay" hands it sockets with TCP_NODELAY, which is better than what its users get.
'use strict';

const net = require('net');
const path = require('path');
const [protos, modules, nodelay] = process.argv.slice(2);
const load = (name) => require(path.join(modules, name));
const grpc = load('@grpc/grpc-js');
const protoLoader = load('@grpc/proto-loader');
const nodemailer = load('nodemailer');

const CONNECTIONS = 16;

const definition = protoLoader.loadSync('sendstep/v1/email_action.proto', {
  includeDirs: [protos], keepCase: true, enums: String, defaults: true,
});
const service = grpc.loadPackageDefinition(definition).sendstep.v1.EmailAction.service;

function getSocket(options, done) {
  const connection = net.connect({ host: options.host, port: options.port, noDelay: true });
  connection.once('connect', () => done(null, { connection }));
  connection.once('error', done);
}

const transports = new Map();  // account -> its pool

function transportOf(smtp) {
  const key = [smtp.host, smtp.port, smtp.tls, smtp.domain].join(' ');
  let transport = transports.get(key);
  if (!transport) {
    const plain = smtp.tls === 'TLS_MODE_OFF';
    transport = nodemailer.createTransport({
      pool: true,
      maxConnections: CONNECTIONS,
      maxMessages: Infinity,
      host: smtp.host,
      port: smtp.port,
      name: smtp.domain,
      secure: smtp.tls === 'TLS_MODE_IMPLICIT',
      ignoreTLS: plain,
      requireTLS: !plain,
      ...(nodelay ? { getSocket } : {}),
      tls: { rejectUnauthorized: !smtp.insecure_skip_verify, ca: smtp.ca_pem || undefined },
    });
    transports.set(key, transport);
  }
  return transport;
}

const mailbox = (a) => ({ name: a.name, address: a.email });

async function execute(call, answer) {
  const { request_id, config, email } = call.request;
  try {
    const info = await transportOf(config.smtp).sendMail({
      from: mailbox(email.from),
      to: email.to.map(mailbox),
      subject: email.subject,
      text: email.text || undefined,
      html: email.html || undefined,
      attachments: email.attachments.map((a) => (
        { filename: a.filename, contentType: a.content_type, content: a.content })),
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    answer(null, {
      outcome: 'OUTCOME_SENT',
      request_id,
      dedupe: 'DEDUPE_NONE',
      message_id: info.messageId,
      from_used: email.from,
      recipients: info.accepted.map((address) => (
        { email: address, status: 'RECIPIENT_STATUS_ACCEPTED', reply: { code: 250 } })),
      final_reply: { code: 250, text: info.response.slice(4) },
      size_bytes: info.messageSize,
      accepted_at: { seconds: Math.floor(Date.now() / 1000) },
    });
  } catch (error) {
    answer({ code: grpc.status.UNAVAILABLE, details: String(error.message) });
  }
}

const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
server.addService(service, { Execute: execute });
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`listening 127.0.0.1:${port}`);
});
process.on('SIGTERM', () => process.exit(0));
