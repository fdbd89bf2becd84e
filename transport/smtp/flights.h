// How a message travels: which commands share a write, and so how many round trips it takes (RFC
// 2920, RFC 3030). Pure.
//
//   one    MAIL, RCPT... and the message as the last chunk in one write
//   two    MAIL, RCPT...; then the message as the last chunk, or where DATA went along, after it
//   three  MAIL, RCPT...; DATA; the message: where a refused recipient has to stop it all
//   step by step, one command a write: without PIPELINING
#ifndef SENDSTEP_TRANSPORT_SMTP_FLIGHTS_H_
#define SENDSTEP_TRANSPORT_SMTP_FLIGHTS_H_

#include <chrono>
#include <cstddef>

#include "transport/base/reply.h"
#include "transport/smtp/capabilities.h"
#include "transport/smtp/settings.h"

namespace sendstep::smtp {

// What is known of a server beside its capabilities.
struct ServerTraits {
  // See SmtpSettings::swallows_refused_chunk.
  bool swallows_refused_chunk = false;
  // The most that goes in one flight with the message. Postfix answers MAIL and RCPT first, and
  // Nagle's algorithm holds its last reply back until they are acknowledged: with a flight that it
  // reads in one piece that costs nothing.
  size_t max_flight_bytes = size_t{64} << 10;
};

// By their greetings: Postfix, Exim and the sandbox swallow a chunk after refused recipients.
ServerTraits TraitsOf(const SmtpSettings& settings, const base::Reply& greeting);

// What a server says it can, and cannot.
struct Distrust {
  bool pipelining = false;
  bool chunking = false;
  // It left without a word while a message was on its way in one flight with the envelope, so that
  // nobody knows what became of it. In two flights the next such loss comes before the end.
  bool at_once = false;
  bool any() const { return pipelining || chunking || at_once; }
};

struct Flights {
  bool pipelining = false;
  enum class Message {
    kWithEnvelope,  // one flight
    kChunk,         // BDAT in a flight of its own
    kDataAhead,     // DATA goes with the envelope
    kData,          // DATA in a flight of its own
  };
  Message message = Message::kData;
};

// Of the message that is to be sent.
struct FlightLoad {
  size_t commands = 0;  // MAIL and RCPT
  size_t bytes = 0;     // of them and the message
  bool all_or_nothing = false;
  bool rset_first = false;
  // Since the server last said something. A connection that a router on the way has forgotten
  // swallows one write without a word; where that write ends the message, its delivery is
  // uncertain.
  std::chrono::nanoseconds silence{0};
};

inline constexpr std::chrono::seconds kMaxSilence{5};
// A write of commands: what fits two socket buffers, whatever they are.
inline constexpr size_t kWindowBytes = 8 * 1024;
inline constexpr size_t kWindowCommands = 100;

Flights PlanFlights(const Capabilities& capabilities, const ServerTraits& traits,
                    const FlightLoad& load);

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_FLIGHTS_H_
