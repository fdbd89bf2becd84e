#include "providers/sandbox/dialog.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "transport/base/address.h"
#include "transport/base/base64.h"
#include "transport/base/secret.h"

namespace sendstep::providers::sandbox {
namespace {

constexpr size_t kMaxClientNameBytes = 255;
constexpr size_t kMaxEnvelopeId = 100;  // RFC 3461 4.4

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

// `code` holds the enhanced code too: "250 2.1.0".
std::string Line(std::string_view code, std::string_view text) {
  return absl::StrCat(ToAbsl(code), " ", ToAbsl(text), "\r\n");
}

Step Say(std::string_view code, std::string_view text) { return {.reply = Line(code, text)}; }

Step SayAndClose(std::string_view code, std::string_view text) {
  return {.reply = Line(code, text), .next = Next::kClose};
}

// A domain or address literal, roughly (RFC 5321 4.1.4: a strange name is no reason to refuse
// mail), and safe to stand in Received.
bool IsClientName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxClientNameBytes &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) ||
                  std::string_view(".-_:[]").find(static_cast<char>(c)) != std::string_view::npos;
         });
}

}  // namespace

struct Dialog::Verb {
  std::string_view name;
  Step (Dialog::*handle)(const Command&);
};

std::string Dialog::Greeting() const {
  return absl::StrCat("220 ", ToAbsl(kHostName), " ESMTP sendstep\r\n");
}

Step Dialog::OnLine(std::string_view line) {
  static constexpr Verb kVerbs[] = {
      {"EHLO", &Dialog::OnHello}, {"HELO", &Dialog::OnHello}, {"STARTTLS", &Dialog::OnStartTls},
      {"AUTH", &Dialog::OnAuth},  {"MAIL", &Dialog::OnMail},  {"RCPT", &Dialog::OnRcpt},
      {"DATA", &Dialog::OnData},  {"BDAT", &Dialog::OnBdat},  {"RSET", &Dialog::OnRset},
      {"NOOP", &Dialog::OnNoop},  {"VRFY", &Dialog::OnVrfy},  {"EXPN", &Dialog::OnExpn},
      {"HELP", &Dialog::OnHelp},  {"QUIT", &Dialog::OnQuit},
  };
  if (auth_ != Auth::kNone) return OnAuthLine(line);
  if (base::HasControlCharacter(line) || absl::StrContains(ToAbsl(line), '\t')) {
    return Fail("500 5.5.2", "Control character or invalid UTF-8 in command");
  }
  const Command command = ParseCommand(line);
  const auto verb = std::find_if(std::begin(kVerbs), std::end(kVerbs),
                                 [&](const Verb& v) { return v.name == command.verb; });
  if (verb == std::end(kVerbs)) return Fail("500 5.5.2", "Command not recognized");
  return (this->*verb->handle)(command);
}

Step Dialog::OnLongLine() {
  const bool in_auth = std::exchange(auth_, Auth::kNone) != Auth::kNone;
  return Fail(in_auth ? "500 5.5.6" : "500 5.5.2", "Line too long");
}

Step Dialog::OnBareLineFeed() {
  auth_ = Auth::kNone;
  return Fail("500 5.5.2", "Lines end with CRLF, not with LF alone");
}

Step Dialog::OnEarlyTlsBytes() {
  return SayAndClose("421 4.7.0", "Nothing may follow STARTTLS before the handshake; closing");
}

void Dialog::OnTlsStarted() {
  hello_ = Hello::kNone;
  client_name_.clear();
  transaction_ = {};
  tls_ = true;
}

Step Dialog::OnHello(const Command& command) {
  const std::string_view name = command.argument.substr(0, command.argument.find(' '));
  if (!IsClientName(name)) {
    return Fail("501 5.5.4", absl::StrCat(command.verb, " wants a domain or an address literal"));
  }
  transaction_ = {};
  client_name_ = std::string(name);
  const std::string hello = absl::StrCat(ToAbsl(kHostName), " greets ", client_name_);
  if (command.verb == "HELO") {
    hello_ = Hello::kHelo;
    return Say("250", hello);
  }
  hello_ = Hello::kEhlo;
  return {.reply = absl::StrCat("250-", hello, "\r\n",                  //
                                "250-PIPELINING\r\n",                   //
                                "250-SIZE ", kMaxMessageBytes, "\r\n",  //
                                tls_ ? "250-AUTH PLAIN LOGIN\r\n" : "250-STARTTLS\r\n",
                                "250-ENHANCEDSTATUSCODES\r\n",  //
                                "250-8BITMIME\r\n",             //
                                "250-SMTPUTF8\r\n",             //
                                "250-DSN\r\n",                  //
                                "250 CHUNKING\r\n")};
}

Step Dialog::OnStartTls(const Command& command) {
  if (hello_ != Hello::kEhlo) return Fail("503 5.5.1", "EHLO first");
  if (tls_) return Fail("503 5.5.1", "TLS is active already");
  if (!command.argument.empty()) return Fail("501 5.5.4", "STARTTLS takes no parameters");
  return {.reply = Line("220 2.0.0", "Ready to start TLS"), .next = Next::kStartTls};
}

Step Dialog::OnAuth(const Command& command) {
  if (hello_ != Hello::kEhlo) return Fail("503 5.5.1", "EHLO first");
  if (!tls_) return Fail("530 5.7.0", "Must issue a STARTTLS command first");
  if (authenticated_) return Fail("503 5.5.1", "Authenticated already");
  if (transaction_.sender) return Fail("503 5.5.1", "Not within a mail transaction");

  const Command mechanism = ParseCommand(command.argument);
  const std::string_view initial = mechanism.argument;
  if (mechanism.verb.empty() || absl::StrContains(ToAbsl(initial), ' ')) {
    return Fail("501 5.5.4", "Syntax: AUTH mechanism [initial-response]");
  }
  if (mechanism.verb == "PLAIN") {
    auth_ = Auth::kPlain;
    if (initial.empty()) return Say("334", "");
  } else if (mechanism.verb == "LOGIN") {
    auth_ = Auth::kLoginUser;
    if (initial.empty()) return Say("334", "VXNlcm5hbWU6");
  } else {
    return Fail("504 5.5.4", "Mechanism not offered");
  }
  return OnAuthLine(initial == "=" ? std::string_view() : initial);
}

Step Dialog::OnAuthLine(std::string_view line) {
  const Auth auth = std::exchange(auth_, Auth::kNone);
  if (line == "*") return Fail("501 5.7.0", "Authentication cancelled");
  std::optional<std::string> decoded = base::DecodeBase64(line);
  if (!decoded) return Fail("501 5.5.2", "Cannot decode base64");
  const base::Secret response(*decoded);
  base::Wipe(*decoded);
  if (auth == Auth::kPlain) return OnPlainResponse(response.Reveal());
  if (auth == Auth::kLoginPassword) return OnCredentials(username_, !response.empty());
  username_ = std::string(response.Reveal());
  if (username_.empty()) return OnCredentials(username_, false);
  auth_ = Auth::kLoginPassword;
  return Say("334", "UGFzc3dvcmQ6");
}

// [authzid] NUL authcid NUL password (RFC 4616 2).
Step Dialog::OnPlainResponse(std::string_view decoded) {
  const size_t first = decoded.find('\0');
  const size_t second = first == std::string_view::npos ? first : decoded.find('\0', first + 1);
  if (second == std::string_view::npos ||
      decoded.find('\0', second + 1) != std::string_view::npos) {
    return Fail("501 5.5.2", "PLAIN wants [authzid] NUL username NUL password");
  }
  return OnCredentials(decoded.substr(first + 1, second - first - 1), second + 1 < decoded.size());
}

Step Dialog::OnCredentials(std::string_view username, bool has_password) {
  if (username.empty() || !has_password) {
    return Fail("535 5.7.8", "Authentication failed: username or password is empty");
  }
  if (BehaviorOf(username) == Behavior::kAuthFail) {
    return Fail("535 5.7.8", "Authentication failed (sandbox: authfail)");
  }
  authenticated_ = true;
  return Say("235 2.7.0", "Authentication succeeded");
}

Step Dialog::OnMail(const Command& command) {
  if (hello_ == Hello::kNone) return Fail("503 5.5.1", "EHLO first");
  if (transaction_.sender) return Fail("503 5.5.1", "A sender is given already");
  std::optional<PathArgument> path = ParsePathArgument(command.argument, "FROM:");
  if (!path) return Fail("501 5.5.4", "Syntax: MAIL FROM:<address> [parameters]");

  Transaction transaction;
  if (auto refused = TakeMailParameters(path->parameters, transaction)) return *std::move(refused);
  if (!path->address.empty()) {
    const auto address = base::ParseAddress(path->address);
    if (!address) return Fail("501 5.1.7", "Bad sender: " + address.error().detail);
    if (!base::IsAscii(path->address) && !transaction.smtp_utf8) {
      return Say("553 5.6.7", "This sender needs the SMTPUTF8 parameter");
    }
  }
  transaction.sender = std::move(path->address);
  transaction_ = std::move(transaction);
  return Say("250 2.1.0", "Sender ok");
}

std::optional<Step> Dialog::TakeMailParameters(const std::vector<Parameter>& parameters,
                                               Transaction& transaction) {
  for (const Parameter& parameter : parameters) {
    if (hello_ != Hello::kEhlo) return Fail("555 5.5.4", "Parameters need EHLO");
    const std::string value = parameter.value.value_or("");
    if (parameter.keyword == "SIZE") {
      const std::optional<uint64_t> size = ParseSize(value);
      if (!size) return Fail("501 5.5.4", "SIZE wants a number");
      if (*size > kMaxMessageBytes) return Say("552 5.3.4", "Message too large");
    } else if (parameter.keyword == "BODY") {
      if (!absl::EqualsIgnoreCase(value, "7BIT") && !absl::EqualsIgnoreCase(value, "8BITMIME")) {
        return Fail("501 5.5.4", "BODY wants 7BIT or 8BITMIME");
      }
    } else if (parameter.keyword == "SMTPUTF8") {
      if (parameter.value) return Fail("501 5.5.4", "SMTPUTF8 takes no value");
      transaction.smtp_utf8 = true;
    } else if (parameter.keyword == "RET") {
      if (!absl::EqualsIgnoreCase(value, "FULL") && !absl::EqualsIgnoreCase(value, "HDRS")) {
        return Fail("501 5.5.4", "RET wants FULL or HDRS");
      }
    } else if (parameter.keyword == "ENVID") {
      if (value.empty() || value.size() > kMaxEnvelopeId || !base::IsAscii(value)) {
        return Fail("501 5.5.4", "ENVID wants 1 to 100 characters");
      }
      transaction.envelope_id = value;
    } else if (parameter.keyword == "AUTH" && tls_) {
      if (!parameter.value) return Fail("501 5.5.4", "AUTH wants a value");
    } else {
      return Fail("555 5.5.4", absl::StrCat("Parameter not offered: ", parameter.keyword));
    }
  }
  return std::nullopt;
}

// Out of sequence here does not count as an error: a client that pipelines may send a thousand
// recipients behind a sender that is refused.
Step Dialog::OnRcpt(const Command& command) {
  if (!transaction_.sender) return Say("503 5.5.1", "MAIL first");
  if (transaction_.chunking) return Say("503 5.5.1", "The message has begun");
  std::optional<PathArgument> path = ParsePathArgument(command.argument, "TO:");
  if (!path) return Fail("501 5.5.4", "Syntax: RCPT TO:<address>");
  bool notify_success = false;
  if (auto refused = TakeRcptParameters(path->parameters, notify_success)) {
    return *std::move(refused);
  }
  const std::string& recipient = path->address;
  // The one address without a domain (RFC 5321 4.5.1).
  if (!absl::EqualsIgnoreCase(recipient, "postmaster")) {
    const auto address = base::ParseAddress(recipient);
    if (!address) return Fail("501 5.1.3", "Bad recipient: " + address.error().detail);
  }
  if (!base::IsAscii(recipient) && !transaction_.smtp_utf8) {
    return Say("553 5.6.7", "This recipient needs SMTPUTF8 in MAIL");
  }
  if (transaction_.recipients.size() >= kMaxRecipients) {
    return Say("452 4.5.3", "Too many recipients");
  }
  if (auto refused = ApplyBehavior(recipient)) return *std::move(refused);
  transaction_.recipients.push_back(recipient);
  if (notify_success) transaction_.notify_success.push_back(recipient);
  return Say("250 2.1.5", "Recipient ok");
}

std::optional<Step> Dialog::TakeRcptParameters(const std::vector<Parameter>& parameters,
                                               bool& notify_success) {
  for (const Parameter& parameter : parameters) {
    if (hello_ != Hello::kEhlo) return Fail("555 5.5.4", "Parameters need EHLO");
    const std::string value = absl::AsciiStrToUpper(parameter.value.value_or(""));
    if (parameter.keyword == "NOTIFY") {
      const std::vector<std::string> words = absl::StrSplit(value, ',');
      const bool known = std::all_of(words.begin(), words.end(), [](const std::string& word) {
        return word == "SUCCESS" || word == "FAILURE" || word == "DELAY";
      });
      if (value != "NEVER" && !known) {
        return Fail("501 5.5.4", "NOTIFY wants NEVER, or some of SUCCESS, FAILURE, DELAY");
      }
      notify_success = absl::c_linear_search(words, "SUCCESS");
    } else if (parameter.keyword != "ORCPT") {
      return Fail("555 5.5.4", absl::StrCat("Parameter not offered: ", parameter.keyword));
    } else if (!absl::StrContains(value, ';')) {
      return Fail("501 5.5.4", "ORCPT wants type;address");
    }
  }
  return std::nullopt;
}

std::optional<Step> Dialog::ApplyBehavior(const std::string& recipient) {
  switch (BehaviorOf(recipient)) {
    case Behavior::kReject:
      return Say("550 5.1.1", "No such user here (sandbox: reject)");
    case Behavior::kTempfail:
      return Say("451 4.3.0", "Temporary failure, try again later (sandbox: tempfail)");
    case Behavior::kGreylist:
      if (greylist_.Knows(*transaction_.sender, recipient)) break;
      return Say("450 4.7.1", "Greylisted, try again (sandbox: greylist)");
    case Behavior::kQuota:
      return Say("552 5.2.2", "Mailbox full (sandbox: quota)");
    case Behavior::kSlow:
      transaction_.slow = true;
      break;
    case Behavior::kDropAfterData:
      transaction_.drop_after_data = true;
      break;
    case Behavior::kUncertain:
      transaction_.drop_after_data = transaction_.keeps_nothing = true;
      break;
    case Behavior::kTooLarge:
      transaction_.keeps_nothing = true;
      break;
    case Behavior::kDisconnect:
      return SayAndClose("421 4.3.0", "Closing (sandbox: disconnect)");
    case Behavior::kAuthFail:
    case Behavior::kNone:
      break;
  }
  return std::nullopt;
}

Step Dialog::OnData(const Command& command) {
  if (!transaction_.sender) return Say("503 5.5.1", "MAIL first");
  if (transaction_.chunking) return Say("503 5.5.1", "The message has begun with BDAT");
  if (!command.argument.empty()) return Fail("501 5.5.4", "DATA takes no parameters");
  if (transaction_.recipients.empty()) return Say("554 5.5.1", "No valid recipients");
  return {.reply = Line("354", "End the message with a line that holds a dot only"),
          .next = Next::kData};
}

// A refused chunk is swallowed (RFC 3030 2): run as commands, a message could forge others. One
// whose size nobody knows cannot be, so the session ends.
Step Dialog::OnBdat(const Command& command) {
  const std::optional<Chunk> chunk = ParseChunk(command.argument);
  if (!chunk) return SayAndClose("501 5.5.4", "Syntax: BDAT size [LAST]; closing");
  if (hello_ == Hello::kHelo) return SkipChunk(Fail("503 5.5.1", "EHLO first"), *chunk);
  if (!transaction_.sender) return SkipChunk(Say("503 5.5.1", "MAIL first"), *chunk);
  if (transaction_.recipients.empty()) {
    return SkipChunk(Say("554 5.5.1", "No valid recipients"), *chunk);
  }
  transaction_.chunking = true;
  return {.reply = {}, .next = Next::kChunk, .chunk = *chunk};
}

Step Dialog::SkipChunk(Step step, const Chunk& chunk) const {
  if (step.next != Next::kClose) {
    step.next = Next::kSkipChunk;
    step.chunk = chunk;
  }
  return step;
}

Step Dialog::OnRset(const Command& command) {
  if (!command.argument.empty()) return Fail("501 5.5.4", "RSET takes no parameters");
  transaction_ = {};
  return Say("250 2.0.0", "Ok");
}

Step Dialog::OnNoop(const Command&) { return Say("250 2.0.0", "Ok"); }

Step Dialog::OnVrfy(const Command& command) {
  if (command.argument.empty()) return Fail("501 5.5.4", "VRFY wants an address");
  return Say("252 2.0.0", "Cannot verify, but will accept mail and see");
}

Step Dialog::OnExpn(const Command&) { return Fail("502 5.5.1", "EXPN is not implemented"); }

Step Dialog::OnHelp(const Command&) {
  return Say("214 2.0.0", "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
}

Step Dialog::OnQuit(const Command& command) {
  if (!command.argument.empty()) return Fail("501 5.5.4", "QUIT takes no parameters");
  return SayAndClose("221 2.0.0", "Bye");
}

Step Dialog::OnChunk(uint64_t size, const Received& received) {
  if (received.outcome == Received::Outcome::kKept) {
    return Say("250 2.0.0", absl::StrCat(size, " octets received"));
  }
  return NotReceived(received.outcome);
}

Step Dialog::OnMessage(const Received& received) {
  using Outcome = Received::Outcome;
  if (received.outcome == Outcome::kTooLarge || received.outcome == Outcome::kNotWritten) {
    return NotReceived(received.outcome);
  }
  errors_ = 0;
  const Transaction ended = std::exchange(transaction_, {});
  if (ended.drop_after_data) return {.reply = {}, .next = Next::kClose};
  if (ended.keeps_nothing) return Say("552 5.3.4", "Message too large (sandbox: toolarge)");
  return Say("250 2.0.0", "Ok: queued as " + received.id);
}

Step Dialog::NotReceived(Received::Outcome outcome) {
  transaction_ = {};
  return outcome == Received::Outcome::kTooLarge
             ? Say("552 5.3.4", "Message too large")
             : Say("452 4.3.1", "The message could not be stored");
}

Step Dialog::Fail(std::string_view code, std::string_view text) {
  if (++errors_ > kMaxErrors) return SayAndClose("421 4.7.0", "Too many errors; closing");
  return Say(code, text);
}

std::string Dialog::TimeoutReply() { return Line("421 4.4.2", "Idle for too long; closing"); }

std::string Dialog::BusyReply() { return Line("421 4.3.2", "Too many sessions; closing"); }

std::string Dialog::Protocol() const {
  const std::string_view base = transaction_.smtp_utf8   ? "UTF8SMTP"
                                : hello_ == Hello::kEhlo ? "ESMTP"
                                                         : "SMTP";
  return absl::StrCat(ToAbsl(base), tls_ ? "S" : "", authenticated_ ? "A" : "");
}

}  // namespace sendstep::providers::sandbox
