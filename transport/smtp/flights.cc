#include "transport/smtp/flights.h"

#include <string>

namespace sendstep::smtp {
namespace {

constexpr size_t kMaxPostfixFlightBytes = 3999;

}  // namespace

ServerTraits TraitsOf(const SmtpSettings& settings, const base::Reply& greeting) {
  ServerTraits traits;
  const std::string text = greeting.lines.empty() ? std::string() : greeting.lines[0];
  const bool postfix = text.find(" ESMTP Postfix") != text.npos;
  const bool exim = text.find(" ESMTP Exim ") != text.npos;
  const bool sandbox = text.ends_with(" ESMTP sendstep");
  traits.swallows_refused_chunk = settings.swallows_refused_chunk || postfix || exim || sandbox;
  if (postfix) traits.max_flight_bytes = kMaxPostfixFlightBytes;
  return traits;
}

Flights PlanFlights(const Capabilities& capabilities, const ServerTraits& traits,
                    const FlightLoad& load) {
  using Message = Flights::Message;
  Flights flights;
  flights.pipelining = capabilities.pipelining;
  // Where BDAT is unknown after all, the lines of the message are taken for commands.
  const bool chunking = capabilities.chunking && traits.swallows_refused_chunk;
  const bool at_once = chunking && flights.pipelining && !load.all_or_nothing && !load.rset_first &&
                       load.commands < kWindowCommands && load.bytes <= traits.max_flight_bytes &&
                       load.silence <= kMaxSilence;
  if (at_once) {
    flights.message = Message::kWithEnvelope;
  } else if (chunking) {
    flights.message = Message::kChunk;
  } else {
    const bool ahead = flights.pipelining && !load.all_or_nothing;
    flights.message = ahead ? Message::kDataAhead : Message::kData;
  }
  return flights;
}

}  // namespace sendstep::smtp
