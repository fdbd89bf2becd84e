#include "transport/smtp/flights.h"

#include <string>
#include <string_view>

namespace sendstep::smtp {
namespace {

constexpr size_t kMaxPostfixFlightBytes = 3999;

// "mail.example.org ESMTP Postfix (Debian/GNU)" -> "Postfix": the word behind the server's name and
// ESMTP. Elsewhere it could be a part of a name, or be about another server.
std::string_view Software(const base::Reply& greeting) {
  static constexpr std::string_view kEsmtp = "ESMTP ";
  std::string_view text = greeting.lines.empty() ? std::string_view() : greeting.lines[0];
  const size_t blank = text.find(' ');
  if (blank == text.npos) return {};
  text.remove_prefix(blank + 1);
  if (!text.starts_with(kEsmtp)) return {};
  text.remove_prefix(kEsmtp.size());
  return text.substr(0, text.find(' '));
}

}  // namespace

ServerTraits TraitsOf(const SmtpSettings& settings, const base::Reply& greeting) {
  ServerTraits traits;
  const std::string_view software = Software(greeting);
  const bool postfix = software == "Postfix";
  const bool swallows = postfix || software == "Exim" || software == "sendstep";
  traits.swallows_refused_chunk = settings.swallows_refused_chunk || swallows;
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
