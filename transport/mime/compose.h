// Message -> the bytes of RFC 5322 and MIME (RFC 2045 to 2049, 2047, 2183, 2231, 2387). No I/O, no
// clock, no randomness: what varies is injected, so the same input gives the same bytes.
#ifndef SENDSTEP_TRANSPORT_MIME_COMPOSE_H_
#define SENDSTEP_TRANSPORT_MIME_COMPOSE_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "transport/base/content.h"
#include "transport/base/result.h"
#include "transport/mime/message.h"

namespace sendstep::mime {

struct ComposeOptions {
  std::chrono::system_clock::time_point date;  // Date header, written in UTC
  std::string message_id;                      // with brackets
  // Makes the boundaries; 128 bits that a sender of content cannot guess.
  std::string boundary_seed;
};

struct ComposedMessage {
  // Canonical: every line ends in CRLF, no bare CR or LF, no NUL, no line over 998 bytes, and none
  // of our own making over 78 where the format lets it be folded. 7-bit unless a header needs UTF-8
  // (SMTPUTF8 addresses only). Not dot-stuffed: that is the transfer's affair (RFC 5321 4.5.2).
  // Large attachments are read from the message, which outlives it; all else is one text, or the
  // texts between them.
  base::Content content;
  // A header carries a UTF-8 local part: transfer wants SMTPUTF8.
  bool needs_smtputf8 = false;
};

// Structure: text and html -> multipart/alternative (text first, made from the html where there is
// none, and the calendar object last); inline parts -> multipart/related around the html;
// attachments, and the calendar object once more as invite.ics -> multipart/mixed around all.
// Bodies are quoted-printable or base64, whichever is shorter, 7bit where nothing needs encoding;
// attachments base64 (message/rfc822 kept within RFC 2046 5.2.1). Errors: Stage::kConfig,
// Cause::kInvalid.
base::Result<ComposedMessage> Compose(const Message& message, const ComposeOptions& options);
// What is composed reads from the message.
base::Result<ComposedMessage> Compose(Message&& message, const ComposeOptions& options) = delete;

// True for header names that Compose writes itself or that belong to the transport (From, To, Cc,
// Bcc, Subject, Date, Message-ID, MIME-Version, Content-*, Received, Return-Path, DKIM-Signature,
// ...), whatever their case.
bool IsReservedHeader(std::string_view name);

// True for header names that Compose writes for a field of this message, whatever their case.
bool SetsHeader(const Message& message, std::string_view name);

// "https://", printable ASCII without brackets and commas, at most 900 bytes: fits
// List-Unsubscribe.
bool IsUnsubscribeUrl(std::string_view url);

// field-name of RFC 5322 3.6.8 (printable ASCII but ":"), at most 76 bytes.
bool IsHeaderName(std::string_view name);

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_COMPOSE_H_
