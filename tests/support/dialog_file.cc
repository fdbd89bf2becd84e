#include "tests/support/dialog_file.h"

#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>

#include "transport/smtp/sasl.h"

namespace sendstep::testing {
namespace {

using base::Cause;
using Kind = ScriptStep::Kind;

const std::map<std::string, Cause>& Causes() {
  static const std::map<std::string, Cause> kCauses = {
      {"invalid", Cause::kInvalid},
      {"timeout", Cause::kTimeout},
      {"cancelled", Cause::kCancelled},
      {"connection_lost", Cause::kConnectionLost},
      {"protocol", Cause::kProtocol},
      {"tls_on_plaintext_port", Cause::kTlsOnPlaintextPort},
      {"plaintext_on_tls_port", Cause::kPlaintextOnTlsPort},
      {"tls_failed", Cause::kTlsFailed},
      {"certificate", Cause::kCertificate},
      {"starttls_not_offered", Cause::kStartTlsNotOffered},
      {"starttls_injection", Cause::kStartTlsInjection},
      {"auth_not_offered", Cause::kAuthNotOffered},
      {"plaintext_credentials", Cause::kPlaintextCredentials},
      {"message_too_large", Cause::kMessageTooLarge},
      {"smtputf8_not_offered", Cause::kSmtpUtf8NotOffered},
      {"extension_not_offered", Cause::kExtensionNotOffered},
      {"greeting_refused", Cause::kGreetingRefused},
      {"gate_closed", Cause::kGateClosed},
      {"refused", Cause::kRefused}};
  return kCauses;
}

const std::map<std::string, base::ErrorClass> kClasses = {
    {"permanent", base::ErrorClass::kPermanent},
    {"transient", base::ErrorClass::kTransient},
    {"uncertain", base::ErrorClass::kUncertain}};

const std::map<std::string, smtp::TlsPolicy> kPolicies = {{"none", smtp::TlsPolicy::kNone},
                                                          {"starttls", smtp::TlsPolicy::kStartTls},
                                                          {"implicit", smtp::TlsPolicy::kImplicit}};

const std::map<std::string, smtp::SaslMechanism> kMechanisms = [] {
  std::map<std::string, smtp::SaslMechanism> mechanisms;
  for (const smtp::SaslMechanism mechanism : smtp::kSaslMechanisms) {
    mechanisms.emplace(smtp::MechanismName(mechanism), mechanism);
  }
  return mechanisms;
}();

template <class Map>
typename Map::mapped_type Lookup(const Map& map, const std::string& key) {
  const auto found = map.find(key);
  if (found == map.end()) throw std::runtime_error("unknown word \"" + key + "\"");
  return found->second;
}

std::vector<std::string> Split(const std::string& text, char separator = ' ') {
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, separator);) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

base::Address Address(const std::string& text) {
  const auto address = base::ParseAddress(text);
  if (!address) throw std::runtime_error("\"" + text + "\": " + address.error().detail);
  return *address;
}

std::string RandomWord(size_t size) {
  constexpr std::string_view kLetters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  std::random_device device;
  std::uniform_int_distribution<size_t> any(0, kLetters.size() - 1);
  std::string word;
  while (word.size() < size) word += kLetters[any(device)];
  return word;
}

std::string Base64(std::string_view bytes) {
  return std::string(smtp::EncodeBase64(bytes).Reveal());
}

class Reader {
 public:
  DialogFile Read(std::istream& in);
  int line_number() const { return line_number_; }

 private:
  void Header(const std::string& key, const std::string& value);
  void Expect(const std::string& value);
  void MakeCredentials(const std::string& kind);
  smtp::Dsn& Dsn() {
    auto& dsn = file_.envelope.dsn;
    return dsn ? *dsn : dsn.emplace();
  }
  void Script(const std::string& line);
  void ServerLine(const std::string& text);
  void ClientLine(const std::string& text);
  std::string Fill(std::string text) const;

  DialogFile file_;
  std::string user_ = "alice@example.org";
  std::map<std::string, std::string> placeholders_;
  int line_number_ = 0;
};

DialogFile Reader::Read(std::istream& in) {
  file_.settings.host = "mail.example.net";
  file_.settings.port = 587;
  file_.settings.tls.policy = smtp::TlsPolicy::kNone;
  file_.settings.ehlo_name = "client.example.org";
  file_.envelope.sender = Address("alice@example.org");
  file_.message = "Subject: Test\r\n\r\nHello\r\n";
  std::string section = "header";
  for (std::string line; std::getline(in, line);) {
    ++line_number_;
    if (line.starts_with("--- ")) {
      section = line.substr(4);
      if (section == "message") file_.message.clear();
    } else if (section == "message") {
      file_.message += line + "\r\n";
    } else if (line.empty() || line.starts_with('#')) {
      continue;
    } else if (section == "dialog") {
      Script(line);
    } else {
      const size_t colon = line.find(": ");
      if (colon == line.npos) throw std::runtime_error("no \"key: value\"");
      Header(line.substr(0, colon), line.substr(colon + 2));
    }
  }
  if (file_.envelope.recipients.empty()) {
    file_.envelope.recipients.push_back(Address("bob@example.net"));
  }
  return std::move(file_);
}

void Reader::Header(const std::string& key, const std::string& value) {
  if (key == "tls") {
    file_.settings.tls.policy = Lookup(kPolicies, value);
  } else if (key == "port") {
    file_.settings.port = static_cast<uint16_t>(std::stoi(value));
  } else if (key == "user") {
    user_ = value;
  } else if (key == "auth") {
    MakeCredentials(value);
  } else if (key == "username-is-secret") {
    file_.settings.credentials.value().username_is_secret = value == "yes";
    file_.secrets.push_back(user_);
  } else if (key == "mechanisms") {
    file_.settings.mechanisms.clear();
    for (const auto& name : Split(value)) {
      file_.settings.mechanisms.push_back(Lookup(kMechanisms, name));
    }
  } else if (key == "allow-plaintext-auth") {
    file_.settings.allow_plaintext_auth = value == "yes";
  } else if (key == "one-flight") {
    file_.one_flight = value == "yes";
  } else if (key == "swallows-refused-chunk") {
    file_.settings.swallows_refused_chunk = value == "yes";
  } else if (key == "ehlo-name") {
    file_.settings.ehlo_name = value;
  } else if (key == "from") {
    file_.envelope.sender.reset();
    if (value != "<>") file_.envelope.sender = Address(value);
  } else if (key == "to") {
    for (const auto& address : Split(value)) file_.envelope.recipients.push_back(Address(address));
  } else if (key == "notify") {
    static const std::map<std::string, smtp::Dsn::Notify> kWords = {
        {"never", smtp::Dsn::kNever},
        {"success", smtp::Dsn::kSuccess},
        {"failure", smtp::Dsn::kFailure},
        {"delay", smtp::Dsn::kDelay}};
    for (const auto& word : Split(value)) Dsn().notify |= Lookup(kWords, word);
  } else if (key == "return") {
    Dsn().content = value == "full" ? smtp::Dsn::Return::kFull : smtp::Dsn::Return::kHeaders;
  } else if (key == "envelope-id") {
    Dsn().envelope_id = value;
  } else if (key == "require-tls") {
    file_.envelope.require_tls = value == "yes";
  } else if (key == "message-bytes") {
    file_.message = GeneratedMessage(std::stoul(value));
  } else if (key == "action") {
    file_.probe = value == "probe";
  } else if (key == "all-or-nothing") {
    file_.all_or_nothing = value == "yes";
  } else if (key == "gate") {
    file_.gate = value == "open";
  } else if (key == "expect") {
    Expect(value);
  } else if (key == "detail") {
    file_.expect.detail = value;
  } else if (key == "recipients") {
    file_.expect.recipients.emplace();
    for (const auto& code : Split(value)) file_.expect.recipients->push_back(std::stoi(code));
  } else if (key == "usable") {
    file_.expect.usable = value == "yes";
  } else if (key == "distrust") {
    file_.expect.distrust.pipelining = value == "pipelining";
    file_.expect.distrust.chunking = value == "chunking";
    file_.expect.distrust.at_once = value == "at-once";
    if (!file_.expect.distrust.any()) throw std::runtime_error("no such distrust");
  } else if (key == "stages") {
    file_.expect.stages = Split(value);
  } else {
    throw std::runtime_error("unknown key \"" + key + "\"");
  }
}

void Reader::Expect(const std::string& value) {
  const std::vector<std::string> words = Split(value);
  file_.expect.sent = words.at(0) == "sent";
  file_.expect.usable = file_.expect.sent;
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    const std::string key = words[i].substr(0, equals);
    const std::string word = equals == std::string::npos ? "" : words[i].substr(equals + 1);
    if (key == "stage") {
      for (int s = 0; s <= static_cast<int>(base::Stage::kData); ++s) {
        const auto stage = static_cast<base::Stage>(s);
        if (base::StageName(stage) == word) file_.expect.stage = stage;
      }
    } else if (key == "cause") {
      for (const auto& name : Split(word, '|')) {
        file_.expect.causes.push_back(Lookup(Causes(), name));
      }
    } else if (key == "class") {
      file_.expect.error_class = Lookup(kClasses, word);
    } else if (key == "code") {
      file_.expect.code = std::stoi(word);
    } else {
      throw std::runtime_error("unknown expectation \"" + words[i] + "\"");
    }
  }
}

void Reader::MakeCredentials(const std::string& kind) {
  smtp::Credentials credentials;
  credentials.username = user_;
  const std::string secret = RandomWord(kind == "token" ? 48 : 18);
  if (kind == "token") {
    credentials.oauth2_token = base::Secret(secret);
    file_.settings.mechanisms = {smtp::SaslMechanism::kXOAuth2};
    placeholders_["xoauth2"] =
        Base64("user=" + user_ + "\x01" + "auth=Bearer " + secret + "\x01\x01");
    placeholders_["oauthbearer"] =
        Base64("n,a=" + user_ + ",\x01" + "auth=Bearer " + secret + "\x01\x01");
    file_.secrets = {secret, Base64(secret), placeholders_["xoauth2"],
                     placeholders_["oauthbearer"]};
  } else {
    credentials.password = base::Secret(secret);
    placeholders_["plain"] = Base64(std::string(1, '\0') + user_ + std::string(1, '\0') + secret);
    placeholders_["password64"] = Base64(secret);
    file_.secrets = {secret, Base64(secret), placeholders_["plain"]};
  }
  placeholders_["secret"] = secret;
  placeholders_["user"] = user_;
  placeholders_["user64"] = Base64(user_);
  file_.settings.credentials = std::move(credentials);
}

std::string Reader::Fill(std::string text) const {
  for (const auto& [name, value] : placeholders_) {
    const std::string mark = "{" + name + "}";
    for (size_t at; (at = text.find(mark)) != text.npos;) text.replace(at, mark.size(), value);
  }
  return text;
}

void Reader::Script(const std::string& line) {
  if (line.starts_with("S: ")) return ServerLine(line.substr(3));
  if (line.starts_with("C: ")) return ClientLine(line.substr(3));
  if (line == "C:") return ClientLine("");
  throw std::runtime_error("a dialog line begins with \"S: \" or \"C: \"");
}

void Reader::ServerLine(const std::string& text) {
  ScriptStep step;
  const std::vector<std::string> words = Split(text);
  if (text == "[close]") {
    step.kind = Kind::kClose;
  } else if (text == "[silence]") {
    step.kind = Kind::kSilence;
  } else if (text.starts_with("[raw] ")) {
    for (const auto& byte : Split(text.substr(6))) {
      step.bytes += byte.size() == 2 ? static_cast<char>(std::stoi(byte, nullptr, 16)) : '?';
    }
  } else if (text.starts_with("[fragment] ")) {
    step.bytes = Fill(text.substr(11));
  } else if (text.starts_with("[repeat ")) {
    const size_t end = text.find("] ");
    const int count = std::stoi(text.substr(8, end - 8));
    for (int i = 0; i < count; ++i) step.bytes += Fill(text.substr(end + 2)) + "\r\n";
  } else if (text.starts_with("[lf] ")) {
    step.bytes = Fill(text.substr(5)) + "\n";
  } else {
    step.bytes = Fill(text) + "\r\n";
  }
  file_.steps.push_back(std::move(step));
}

void Reader::ClientLine(const std::string& text) {
  ScriptStep step;
  step.kind = Kind::kClient;
  const std::vector<std::string> words =
      Split(text.ends_with(']') ? text.substr(0, text.size() - 1) : text);
  if (text.starts_with("[tls")) {
    step.kind = Kind::kTls;
    if (words.size() > 1) step.cause = Lookup(Causes(), words[1]);
  } else if (text.starts_with("[message") || text.starts_with("[chunk")) {
    const bool chunk = text.starts_with("[chunk");
    step.kind = Kind::kMessage;
    step.bytes = chunk ? Chunk(file_.message) : DotStuffed(file_.message);
    if (chunk && file_.steps.back().kind == Kind::kClient) file_.one_flight = true;
    if (words.size() > 1) step.limit = std::stoul(words[1]);
  } else {
    step.bytes = Fill(text) + "\r\n";
  }
  file_.steps.push_back(std::move(step));
}

}  // namespace

std::string Chunk(const std::string& message) {
  return "BDAT " + std::to_string(message.size()) + " LAST\r\n" + message;
}

std::string DotStuffed(const std::string& message) {
  std::string stuffed;
  bool line_begins = true;
  for (const char c : message) {
    if (line_begins && c == '.') stuffed += '.';
    stuffed += c;
    line_begins = c == '\n';
  }
  if (!line_begins) stuffed += "\r\n";
  return stuffed + ".\r\n";
}

std::string GeneratedMessage(size_t bytes) {
  std::string message = "Subject: Test\r\n\r\n";
  for (size_t line = 0; message.size() < bytes; ++line) {
    if (line % 7 == 0) message += '.';
    message += "Line " + std::to_string(line) + std::string(line % 70, 'x') + "\r\n";
  }
  message.resize(bytes - 2, 'y');
  if (message.ends_with('\r')) message.back() = 'z';
  return message + "\r\n";
}

DialogFile ReadDialogFile(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  Reader reader;
  try {
    return reader.Read(in);
  } catch (const std::exception& error) {
    throw std::runtime_error(path.string() + ":" + std::to_string(reader.line_number()) + ": " +
                             error.what());
  }
}

}  // namespace sendstep::testing
